// SPDX-License-Identifier: GPL-2.0-only
/*
 * Panics from other contexts than a process, and while locks of the network or of
 * the console are held; and what does not crash, but prepares for it.
 */
#include <linux/console.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/objtool.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/timer.h>

#include "pc_crash.h"

static void irq_work_panics(struct irq_work *work)
{
	panic("in a hard interrupt");
}

static void hardirq(void)
{
	static struct irq_work work;

	init_irq_work(&work, irq_work_panics);
	irq_work_queue(&work);
	ssleep(5);
}

static void timer_panics(struct timer_list *timer)
{
	panic("in a softirq");
}

static void softirq(void)
{
	static struct timer_list timer;

	timer_setup(&timer, timer_panics, 0);
	mod_timer(&timer, jiffies + 1);
	ssleep(5);
}

static void rtnl(void)
{
	rtnl_lock();
	panic("with RTNL held");
}

/* The panic comes in an interrupt of the CPU that is just sending. */
static void tx_own(void)
{
	struct netdev_queue *txq = netdev_get_tx_queue(card(), 0);

	local_bh_disable();
	__netif_tx_lock(txq, smp_processor_id());
	panic("with the own transmit lock held");
}

static int holds_tx(void *unused)
{
	struct netdev_queue *txq = netdev_get_tx_queue(card(), 0);

	local_bh_disable();
	__netif_tx_lock(txq, smp_processor_id());
	return hold();
}

static int holds_napi(void *unused)
{
	struct napi_struct *napi = list_first_entry(&card()->napi_list,
						    struct napi_struct,
						    dev_list);

	local_bh_disable();
	while (cmpxchg(&napi->poll_owner, -1, smp_processor_id()) != -1)
		cpu_relax();
	return hold();
}

/* netpoll's lock is taken while a card is polled, also by others. */
static void netpoll_own(void)
{
	down(&rtnl_dereference(card()->npinfo)->dev_lock);
	panic("with netpoll's own lock held");
}

static int holds_netpoll(void *unused)
{
	down(&rtnl_dereference(card()->npinfo)->dev_lock);
	return hold();
}

static void console_own(void)
{
	console_lock();
	panic("with the console lock held");
}

static int holds_console(void *unused)
{
	console_lock();
	return hold();
}

/* Does not crash: ties the clock of the log to that of the frames. */
static void mark(void)
{
	pr_info("MARK-IN-TIME\n");
	send_something(card());
}

/* The ring of the card is never empty, and its queue stops and starts. */
static int keeps_sending(void *unused)
{
	struct net_device *dev = card();
	unsigned int n;

	for (n = 0;; n++) {
		send_something(dev);
		if (n == 1000)
			WRITE_ONCE(held, true);
		cond_resched();
	}
	return 0;
}

static int panics_too(void *unused)
{
	WRITE_ONCE(held, true);
	panic("on two CPUs at once");
	return 0;
}

static void double_fault(void)
{
#ifdef CONFIG_X86
	asm volatile ("movq $0, %%rsp; pushq %%rax" : : : "memory");
#endif
}

STACK_FRAME_NON_STANDARD(double_fault);

static void oops(void)
{
	WRITE_ONCE(*(int *)16, 0);
}

/* Does not crash: makes a card that netpoll can't use. */
static void no_netpoll(void)
{
	struct net_device *dev = dev_get_by_name(&init_net, "eth1");

	dev->priv_flags |= IFF_DISABLE_NETPOLL;
	dev_put(dev);
}

/* Does not crash: what a debug kernel must complain of, one kind each. */
static void mistakes(void)
{
	static DEFINE_MUTEX(first);
	static DEFINE_MUTEX(second);
	char *freed = kmalloc(64, GFP_KERNEL);

	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);

	preempt_disable();
	might_sleep();
	preempt_enable();

	kfree(freed);
	WRITE_ONCE(freed[8], 1);

	/* nobody knows where it is */
	kmalloc(123, GFP_KERNEL | __GFP_ZERO);
}

const struct way contexts[] = {
	{ "hardirq", .alone = hardirq },
	{ "softirq", .alone = softirq },
	{ "rtnl", .alone = rtnl },
	{ "tx_own", .alone = tx_own },
	{ "tx_other", .other = holds_tx,
	  .says = "another CPU holds the transmit lock" },
	{ "napi_other", .other = holds_napi,
	  .says = "another CPU holds the driver's NAPI" },
	{ "netpoll_own", .alone = netpoll_own },
	{ "netpoll_other", .other = holds_netpoll,
	  .says = "another CPU holds netpoll's own lock" },
	{ "console_own", .alone = console_own },
	{ "console_other", .other = holds_console,
	  .says = "another CPU holds the console lock" },
	{ "traffic", .other = keeps_sending, .says = "another CPU sends without end" },
	{ "both", .other = panics_too, .says = "on two CPUs at once" },
	{ "double_fault", .alone = double_fault },
	{ "oops", .alone = oops },
	{ "mark", .alone = mark },
	{ "no_netpoll", .alone = no_netpoll },
	{ "mistakes", .alone = mistakes },
	{ }
};
