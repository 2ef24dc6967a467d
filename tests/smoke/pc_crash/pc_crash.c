// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crashes in the ways that LKDTM does not know: from other contexts than a
 * process, and while locks of the network are held.
 */
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/timer.h>

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "name of the crash");

static bool held;

static struct net_device *card(void)
{
	struct net_device *dev = dev_get_by_name(&init_net, "eth0");

	if (!dev)
		panic("no eth0");
	return dev;
}

static void irq_work_panics(struct irq_work *work)
{
	panic("in a hard interrupt");
}

static void hardirq(void)
{
	static struct irq_work work;

	init_irq_work(&work, irq_work_panics);
	irq_work_queue(&work);
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
	WRITE_ONCE(held, true);
	for (;;)
		cpu_relax();
	return 0;
}

static int holds_napi(void *unused)
{
	struct napi_struct *napi = list_first_entry(&card()->napi_list,
						    struct napi_struct,
						    dev_list);

	local_bh_disable();
	while (cmpxchg(&napi->poll_owner, -1, smp_processor_id()) != -1)
		cpu_relax();
	WRITE_ONCE(held, true);
	for (;;)
		cpu_relax();
	return 0;
}

/* Panics here while @holder is stopped on another CPU. */
static void beside(int (*holder)(void *), const char *what)
{
	struct task_struct *task = kthread_create(holder, NULL, "holder");
	unsigned int other = cpumask_any_but(cpu_online_mask, get_cpu());

	if (IS_ERR(task) || other >= nr_cpu_ids)
		panic("no thread, or no other CPU");
	kthread_bind(task, other);
	wake_up_process(task);
	while (!READ_ONCE(held))
		cpu_relax();
	panic("while another CPU holds %s", what);
}

static int __init pc_crash_init(void)
{
	if (!strcmp(how, "hardirq"))
		hardirq();
	else if (!strcmp(how, "softirq"))
		softirq();
	else if (!strcmp(how, "rtnl"))
		rtnl();
	else if (!strcmp(how, "tx_own"))
		tx_own();
	else if (!strcmp(how, "tx_other"))
		beside(holds_tx, "the transmit lock");
	else if (!strcmp(how, "napi_other"))
		beside(holds_napi, "the driver's NAPI");
	else
		return -EINVAL;
	/* not to be unloaded under an interrupt that is to come */
	ssleep(5);
	return -EAGAIN;
}
module_init(pc_crash_init);

MODULE_DESCRIPTION("crashes for the tests of panicast");
MODULE_LICENSE("GPL");
