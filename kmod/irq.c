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
#include <linux/delay.h>
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

/* For so many microseconds an oops tries to get a descriptor's lock. */
#define KEEP_TRIES	20

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
 *
 * RCU keeps descriptors of interrupts, but not those of MSI.  After an oops a
 * driver may free one while it is compared: the memory is still there to be
 * read, and what is read is only compared.
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

/* Whether a descriptor's action called what crashed. */
static bool action_called(struct irq_desc *desc, enum pc_slot slot)
{
	const struct irqaction *action;
	char name[64];

	for (action = desc->action; action; action = action->next) {
		if (!action->handler)
			continue;
		snprintf(name, sizeof(name), "%ps", action->handler);
		if (pc_where_calls(slot, name))
			return true;
	}
	return false;
}

/*
 * Whether an action of an interrupt called what crashed, or may have.  After a
 * panic nobody frees actions.  After an oops a driver may, as soon as it has
 * the lock: RCU does not keep them, though it keeps the descriptor.
 */
static bool called(struct irq_desc *desc, enum pc_slot slot)
{
	unsigned int tries = KEEP_TRIES;
	bool found;

	if (slot == PC_SLOT_PANIC)
		return action_called(desc, slot);
	while (!raw_spin_trylock(&desc->lock)) {
		/* perhaps it is this CPU that has it, and crashed in the core */
		if (!--tries)
			return true;
		udelay(1);
	}
	found = action_called(desc, slot);
	raw_spin_unlock(&desc->lock);
	return found;
}

/**
 * pc_irq_crashed() - whether what crashed was called by a handler of a card
 * @dev: the card
 * @slot: whose crash it is
 *
 * Under RCU and with interrupts off.
 */
bool pc_irq_crashed(struct net_device *dev, enum pc_slot slot)
{
	struct irq_data *data;
	unsigned int irq;

	for (irq = next_irq(dev, 0); irq; irq = next_irq(dev, irq)) {
		data = irq_get_irq_data(irq);
		if (data && called(irq_data_to_desc(data), slot))
			return true;
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
