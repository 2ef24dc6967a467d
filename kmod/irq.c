// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at a card's interrupts from outside.
 *
 * Nothing here calls the interrupt core: all its functions take a
 * descriptor's lock and those of interrupt controllers, and the crashed code
 * may hold one.  disable_irq(), with which many drivers begin
 * ndo_poll_controller(), also waits for handlers on stopped CPUs, and for a
 * controller that has given the interrupt to one.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <linux/msi.h>
#include <linux/netdevice.h>
#include <linux/pci.h>

#include "compat/compat.h"
#include "irq.h"
#include "where.h"

/* The PCI device that a card is or sits on, such as that of virtio. */
static struct pci_dev *pci_of(const struct net_device *dev)
{
	struct device *parent = dev->dev.parent;

	while (parent && !dev_is_pci(parent))
		parent = parent->parent;
	return parent ? to_pci_dev(parent) : NULL;
}

/*
 * The next interrupt of a card after @irq, 0 for none.  With MSI-X a PCI device
 * still has a number of the old kind, which may be another device's.
 */
static unsigned int next_irq(const struct net_device *dev, unsigned int irq)
{
	struct pci_dev *pci = pci_of(dev);
	unsigned int end = compat_nr_irqs();

	if (!pci || !(pci->msi_enabled || pci->msix_enabled)) {
		unsigned int only = dev->irq > 0 ? dev->irq :
				    pci ? pci->irq : 0;

		return irq ? 0 : only;
	}
	for (irq++; irq < end; irq++) {
		struct irq_data *data = irq_get_irq_data(irq);
		struct msi_desc *msi = data ? irq_data_get_msi_desc(data) : NULL;

		if (msi && msi->dev == &pci->dev)
			return irq;
	}
	return 0;
}

/* Who handles an interrupt. */
static struct irqaction *actions(unsigned int irq)
{
	struct irq_data *data = irq_get_irq_data(irq);

	return data ? irq_data_to_desc(data)->action : NULL;
}

/* Whether the answer is yes for an interrupt of a card. */
static bool any(const struct net_device *dev, bool (*question)(struct irq_data *))
{
	unsigned int irq;

	for (irq = next_irq(dev, 0); irq; irq = next_irq(dev, irq)) {
		if (actions(irq) && question(irq_get_irq_data(irq)))
			return true;
	}
	return false;
}

static bool handled(struct irq_data *data)
{
	return irqd_irq_inprogress(data);
}

static bool threaded(struct irq_data *data)
{
	return atomic_read(&irq_data_to_desc(data)->threads_active);
}

static bool disabled(struct irq_data *data)
{
	return irqd_irq_disabled(data);
}

/**
 * pc_irq_handled() - whether a CPU, perhaps ours, handles an interrupt of a
 * card
 * @dev: the card
 */
bool pc_irq_handled(struct net_device *dev)
{
	return any(dev, handled);
}

/** pc_irq_threaded() - whether a thread, which can be stopped, handles one */
bool pc_irq_threaded(struct net_device *dev)
{
	return any(dev, threaded);
}

/**
 * pc_irq_disabled() - whether the driver has disabled one
 * @dev: the card
 *
 * Those of the 8390 family do so while they have a lock of their own.
 */
bool pc_irq_disabled(struct net_device *dev)
{
	return any(dev, disabled);
}

/**
 * pc_irq_crashed() - whether what crashed was called by a handler of a card
 * @dev: the card
 * @slot: whose crash it is
 */
bool pc_irq_crashed(struct net_device *dev, enum pc_slot slot)
{
	unsigned int irq;
	char name[64];

	for (irq = next_irq(dev, 0); irq; irq = next_irq(dev, irq)) {
		struct irqaction *action = actions(irq);

		for (; action; action = action->next) {
			if (!action->handler)
				continue;
			snprintf(name, sizeof(name), "%ps", action->handler);
			if (pc_where_calls(slot, name))
				return true;
		}
	}
	return false;
}

/**
 * pc_irq_handle() - call the driver's handler as if its interrupt had come
 * @dev: the card
 *
 * Only where nobody is in it.  The NAPIs are ours from now on, so that it
 * schedules none: that may wake a thread, which takes locks.
 */
void pc_irq_handle(struct net_device *dev)
{
	struct napi_struct *napi;
	unsigned int irq;

	list_for_each_entry_rcu(napi, &dev->napi_list, dev_list)
		set_bit(NAPI_STATE_SCHED, &napi->state);

	for (irq = next_irq(dev, 0); irq; irq = next_irq(dev, irq)) {
		struct irqaction *action = actions(irq);

		for (; action; action = action->next)
			if (action->dev_id == dev && action->handler)
				action->handler(irq, dev);
	}
}
