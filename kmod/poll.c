// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polls a device without hanging in its driver.
 *
 * Older drivers' ndo_poll_controller() is disable_irq(), the interrupt
 * handler, enable_irq().  disable_irq() waits until the interrupt is handled
 * everywhere, and asks the interrupt controller too.  Where the controller has
 * given a level interrupt to a CPU that has been stopped since, that is never.
 * Newer drivers' NAPI polls take the lock of a transmit queue, which a stopped
 * CPU may hold.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/msi.h>
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/pci.h>
#include <linux/preempt.h>

#include "compat/compat.h"
#include "poll.h"

/*
 * The interrupt that ndo_poll_controller() would disable, 0 if it is not known.
 * A PCI device that uses MSI-X has one all the same, which nobody handles.
 */
static unsigned int poll_irq(const struct net_device *dev)
{
	const struct device *parent = dev->dev.parent;
	struct irq_data *data;
	unsigned int irq = 0;

	if (dev->irq > 0)
		irq = dev->irq;
	else if (parent && dev_is_pci(parent))
		irq = to_pci_dev(parent)->irq;
	data = irq ? irq_get_irq_data(irq) : NULL;
	return data && irq_data_to_desc(data)->action ? irq : 0;
}

/**
 * pc_poll_prepare() - keep the device's interrupt from other CPUs
 * @dev: the device, before the first frame is sent on it
 *
 * Only after a panic, with interrupts off: it stays so.  The interrupt is
 * masked at its controller at once, not lazily when it comes for the next
 * time.  An NMI may have interrupted the holder of the locks that this takes;
 * other CPUs stop in a plain interrupt, which these locks keep out.
 *
 * Return: true if the driver had disabled the interrupt before.  Drivers of
 * the 8390 family do so while they send, to take a lock of their own.
 */
bool pc_poll_prepare(struct net_device *dev)
{
	unsigned int irq = poll_irq(dev);
	bool disabled;

	if (!dev->netdev_ops->ndo_poll_controller || !irq)
		return false;
	disabled = irqd_irq_disabled(irq_get_irq_data(irq));
	if (!in_nmi()) {
		irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
		disable_irq_nosync(irq);
	}
	return disabled;
}

/* A driver's poll may wait for a transmit lock, whose holder was stopped. */
static bool transmit_locked(struct net_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->real_num_tx_queues; i++) {
		struct netdev_queue *txq = netdev_get_tx_queue(dev, i);

		if (!__netif_tx_trylock(txq))
			return true;
		__netif_tx_unlock(txq);
	}
	return false;
}

/*
 * What netpoll_poll_dev() does after ndo_poll_controller().  A poll that a
 * stopped CPU was in is passed over, like one that is disabled.
 */
static void poll_napi(struct net_device *dev)
{
	struct napi_struct *napi;

	list_for_each_entry_rcu(napi, &dev->napi_list, dev_list) {
		if (cmpxchg(&napi->poll_owner, -1, smp_processor_id()) != -1)
			continue;
		if (!test_and_set_bit(NAPI_STATE_NPSVC, &napi->state)) {
			/* no budget: for what has been sent only */
			napi->poll(napi, 0);
			clear_bit(NAPI_STATE_NPSVC, &napi->state);
		}
		/* after the poll, as in netpoll */
		smp_store_release(&napi->poll_owner, -1);
	}
}

/**
 * pc_poll_handled() - whether some CPU is in an interrupt handler of a device
 * @dev: the device
 *
 * Any context.  After a panic nobody leaves it any more.
 *
 * Return: true if so, and its ndo_poll_controller() would wait for that
 */
bool pc_poll_handled(struct net_device *dev)
{
	unsigned int irq, own = poll_irq(dev), end = 0;

	if (dev->netdev_ops->ndo_poll_controller)
		end = compat_nr_irqs();
	for (irq = 0; irq < end; irq++) {
		struct irq_data *data = irq_get_irq_data(irq);
		struct msi_desc *msi;

		if (!data || (!irqd_irq_inprogress(data) &&
			      !atomic_read(&irq_data_to_desc(data)->threads_active)))
			continue;
		/* the one above, or one of those that the card has by MSI-X */
		msi = irq_data_get_msi_desc(data);
		if ((own && irq == own) ||
		    (msi && msi->dev && msi->dev == dev->dev.parent))
			return true;
	}
	return false;
}

/* Whether the interrupt waits for a CPU that will not take it any more. */
static bool pending(const struct net_device *dev)
{
	unsigned int irq = poll_irq(dev);
	bool active = false;

	return irq &&
	       !irq_get_irqchip_state(irq, IRQCHIP_STATE_ACTIVE, &active) &&
	       active;
}

/* What ndo_poll_controller() does between disable_irq() and enable_irq(). */
static void handle(struct net_device *dev)
{
	unsigned int irq = poll_irq(dev);
	struct irqaction *action = NULL;

	if (irq)
		action = irq_data_to_desc(irq_get_irq_data(irq))->action;
	for (; action; action = action->next)
		if (action->dev_id == dev && action->handler)
			action->handler(irq, dev);
}

/**
 * pc_poll() - let the driver work off its ring, unless it would hang
 * @dev: the device; interrupts are off, under RCU
 * @handled: what pc_poll_handled() said
 * @alone: no other CPU runs any more
 *
 * Where disable_irq() would wait without end, its driver's parts are called
 * without it: the poll, and the handler if nobody is in that.  So it is in an
 * NMI, which may have interrupted a holder of the interrupt's lock.  Where it
 * has interrupted one of a lock of the driver's, sending has hung before.
 */
void pc_poll(struct net_device *dev, bool handled, bool alone)
{
	if (transmit_locked(dev))
		return;
	if (!dev->netdev_ops->ndo_poll_controller ||
	    (!handled && !in_nmi() && !pending(dev))) {
		netpoll_poll_dev(dev);
		return;
	}
	if (alone && !handled)
		handle(dev);
	poll_napi(dev);
}
