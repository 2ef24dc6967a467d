// SPDX-License-Identifier: GPL-2.0-only
/*
 * Panics in an interrupt of the card, or while another CPU is in one.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/netdevice.h>
#include <linux/pci.h>

#include "pc_crash.h"

/* More than the numbers of any interrupts in a guest. */
#define GUESTS_IRQS	1024

static irqreturn_t panics_in_handler(int irq, void *data)
{
	panic("in the card's own interrupt");
	return IRQ_NONE;
}

static irq_handler_t drivers_handler;

/* An interrupt moves to another CPU only after it has come once more. */
static irqreturn_t holds_handler(int irq, void *data)
{
	if (smp_processor_id() == READ_ONCE(holder_cpu))
		hold();
	return drivers_handler(irq, data);
}

/*
 * One of the card's interrupts, which may have several; 0 where there are not
 * so many.  pci_irq_vector() of older kernels warns of a number too many.
 */
static int card_irq(unsigned int number)
{
	struct device *parent = card()->dev.parent;
	int irq;

	while (!dev_is_pci(parent))
		parent = parent->parent;
	if (!pci_dev_msi_enabled(to_pci_dev(parent)))
		return number ? 0 : to_pci_dev(parent)->irq;
	for (irq = 1; irq < GUESTS_IRQS; irq++) {
		struct irq_data *data = irq_get_irq_data(irq);
		struct msi_desc *msi = data ? irq_data_get_msi_desc(data) : NULL;

		if (msi && msi->dev == parent && !number--)
			return irq;
	}
	return 0;
}

/*
 * Sends the card's interrupts to @what until a CPU is held in one. Nothing here
 * may wait for that CPU; registering a kprobe would, because it patches code.
 */
static void in_handler(irq_handler_t what)
{
	/* of several the first is for changes of the card itself */
	unsigned int number = card_irq(1) > 0;
	struct irqaction *action;
	int irq;

	/* queues share one handler */
	for (; (irq = card_irq(number)) > 0; number++) {
		action = irq_data_to_desc(irq_get_irq_data(irq))->action;
		if (!drivers_handler)
			drivers_handler = action->handler;
		if (action->handler == drivers_handler)
			WRITE_ONCE(action->handler, what);
	}
	while (!READ_ONCE(held)) {
		send_something(card());
		mdelay(1);
	}
}

static void irq_own(void)
{
	in_handler(panics_in_handler);
}

/* All of the card's interrupts come to the CPU that is to be held. */
void interrupt_holder(void)
{
	unsigned int number;
	int irq;

	for (number = 0; (irq = card_irq(number)) > 0; number++)
		irq_set_affinity_hint(irq, cpumask_of(holder_cpu));
}

static void irq_other(void)
{
	unsigned int here = raw_smp_processor_id();

	set_cpus_allowed_ptr(current, cpumask_of(here));
	holder_cpu = cpumask_any_but(cpu_online_mask, here);
	interrupt_holder();
	in_handler(holds_handler);
	panic("another CPU is in the card's interrupt");
}

const struct way interrupts[] = {
	{ "irq_own", .alone = irq_own },
	{ "irq_other", .alone = irq_other },
	{ }
};
