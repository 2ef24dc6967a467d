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
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/pci.h>
#include <linux/preempt.h>

#include "poll.h"

/* The interrupt that ndo_poll_controller() would disable, 0 if it is not known. */
static unsigned int poll_irq(const struct net_device *dev)
{
	if (dev->irq > 0)
		return dev->irq;
	if (dev->dev.parent && dev_is_pci(dev->dev.parent))
		return to_pci_dev(dev->dev.parent)->irq;
	return 0;
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
	struct irq_data *data;
	bool disabled;

	if (!dev->netdev_ops->ndo_poll_controller || !irq)
		return false;
	data = irq_get_irq_data(irq);
	disabled = data && irqd_irq_disabled(data);
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
 * pc_poll() - let the driver work off its ring, unless it would hang
 * @dev: the device; interrupts are off, under RCU
 */
void pc_poll(struct net_device *dev)
{
	unsigned int irq = poll_irq(dev);
	bool active = false;

	if (transmit_locked(dev))
		return;
	if (dev->netdev_ops->ndo_poll_controller) {
		if (in_nmi())
			return;
		if (irq && !irq_get_irqchip_state(irq, IRQCHIP_STATE_ACTIVE,
						  &active) && active) {
			poll_napi(dev);
			return;
		}
	}
	netpoll_poll_dev(dev);
}
