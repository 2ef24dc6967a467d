// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crashes in the ways that LKDTM does not know: from other contexts than a
 * process, at any function, and while locks of the network are held.
 */
#include <linux/etherdevice.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>

#include "pc_crash.h"

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "name of the crash");

char *symbol = "";
module_param(symbol, charp, 0);
MODULE_PARM_DESC(symbol, "a function: at which how=at and writing_at panic, and later_at at either of two, stopped_at and writing_stopped_at hold a CPU; as it gives a lock back, holding and stopped_holding do");

bool held;

/*
 * None, as long as a kprobe is registered.  That patches code, and waits for all
 * CPUs.
 */
unsigned int holder_cpu = UINT_MAX;

struct net_device *card(void)
{
	struct net_device *dev = dev_get_by_name(&init_net, "eth0");

	if (!dev)
		panic("no eth0");
	return dev;
}

/* This CPU never gives back what it has taken. */
int hold(void)
{
	WRITE_ONCE(held, true);
	for (;;)
		cpu_relax();
	return 0;
}

void send_something(struct net_device *dev)
{
	struct sk_buff *skb = netdev_alloc_skb(dev, ETH_FRAME_LEN);

	if (!skb)
		return;
	skb_put_zero(skb, ETH_FRAME_LEN);
	skb_reset_mac_header(skb);
	eth_broadcast_addr(eth_hdr(skb)->h_dest);
	eth_hdr(skb)->h_proto = htons(ETH_P_LOOPBACK);
	skb->protocol = htons(ETH_P_LOOPBACK);
	dev_queue_xmit(skb);
}

/* Panics here while @other is stopped on another CPU. */
void beside(int (*other)(void *), const char *what)
{
	struct task_struct *task = kthread_create(other, NULL, "holder");
	unsigned int cpu = cpumask_any_but(cpu_online_mask, get_cpu());

	if (IS_ERR(task) || cpu >= nr_cpu_ids)
		panic("no thread, or no other CPU");
	kthread_bind(task, cpu);
	wake_up_process(task);
	while (!READ_ONCE(held))
		cpu_relax();
	panic("%s", what);
}

static const struct way *find(const struct way *way)
{
	for (; way->name; way++)
		if (!strcmp(how, way->name))
			return way;
	return NULL;
}

static int __init pc_crash_init(void)
{
	const struct way *way = find(contexts) ?: find(places) ?:
				find(interrupts);

	if (!way)
		return -EINVAL;
	if (way->alone)
		way->alone();
	else
		beside(way->other, way->says);
	/* what comes back has nothing to stay for */
	return -EAGAIN;
}
module_init(pc_crash_init);

MODULE_DESCRIPTION("crashes for the tests of panicast");

MODULE_LICENSE("GPL");
