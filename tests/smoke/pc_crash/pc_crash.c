// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crashes in the ways that LKDTM does not know: from other contexts than a
 * process, and while locks of the network are held.
 */
#include <linux/console.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/if_packet.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdesc.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/objtool.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <net/sock.h>

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "name of the crash");

static char *symbol = "";
module_param(symbol, charp, 0);
MODULE_PARM_DESC(symbol, "a function: at which how=at and writing_at panic, stopped_at and writing_stopped_at hold a CPU; as it gives a lock back, holding and stopped_holding do");

/* More than the numbers of any interrupts in a guest. */
#define GUESTS_IRQS 1024

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

/* This CPU never gives back what it has taken. */
static int hold(void)
{
	WRITE_ONCE(held, true);
	for (;;)
		cpu_relax();
	return 0;
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

static void send_something(struct net_device *dev)
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

/* Does not crash: ties the clock of the log to that of the frames. */
static void mark(void)
{
	pr_info("MARK-IN-TIME\n");
	send_something(card());
}

/* The ring of the card is never empty, and its queue stops and starts. */
static int sends(void *unused)
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

static int panicking_cpu = -1;

/* Others may send, too, before they are stopped. */
static int panics_in_driver(struct kprobe *probe, struct pt_regs *regs)
{
	if (smp_processor_id() == READ_ONCE(panicking_cpu))
		panic("while sending");
	return 0;
}

/* The driver itself crashes when the last words are sent. */
static void sending(void)
{
	static struct kprobe probe = { .pre_handler = panics_in_driver };

	probe.addr = (kprobe_opcode_t *)card()->netdev_ops->ndo_start_xmit;
	if (register_kprobe(&probe))
		panic("no probe");
	local_irq_disable();
	WRITE_ONCE(panicking_cpu, smp_processor_id());
	panic("for the first time");
}

/* Whoever comes there first. */
static int panics_at(struct kprobe *probe, struct pt_regs *regs)
{
	static atomic_t once;

	if (!atomic_xchg(&once, 1))
		panic("panics at %s", symbol);
	return 0;
}

/*
 * The CPU that is to be held: none, as long as a kprobe is registered. That
 * patches code, and waits for all CPUs.
 */
static unsigned int holder_cpu = UINT_MAX;

static int holds_at(struct kprobe *probe, struct pt_regs *regs)
{
	return smp_processor_id() == READ_ONCE(holder_cpu) ? hold() : 0;
}

static void *probe_symbol(kprobe_pre_handler_t handler)
{
	static struct kprobe probe;

	probe.symbol_name = symbol;
	probe.pre_handler = handler;
	if (register_kprobe(&probe))
		panic("no probe at %s", symbol);
	return probe.addr;
}

/* Who called the function at whose beginning a probe is. */
static unsigned long caller(struct pt_regs *regs)
{
#ifdef CONFIG_X86
	return *(unsigned long *)regs->sp;
#else
	return procedure_link_pointer(regs);
#endif
}

static unsigned long holder, holder_end;

static int nothing(struct kprobe *probe, struct pt_regs *regs)
{
	return 0;
}

/* Where @symbol is, from its beginning to its end. */
static void find_holder(void)
{
	char name[KSYM_SYMBOL_LEN];
	unsigned int size;

	holder = (unsigned long)probe_symbol(nothing);
	sprint_symbol(name, holder);
	if (sscanf(strchrnul(name, '/'), "/%x", &size) != 1)
		panic("no end of %s", symbol);
	holder_end = holder + size;
}

static bool by_holder(struct pt_regs *regs)
{
	unsigned long address = caller(regs);

	return address >= holder && address < holder_end;
}

/* A function that gives back a lock still has it when it begins. */
static void probe_unlocks(kprobe_pre_handler_t handler)
{
	static const char * const names[] = {
		"_raw_spin_unlock", "_raw_spin_unlock_bh",
		"_raw_spin_unlock_irq", "_raw_spin_unlock_irqrestore",
		"_raw_read_unlock", "_raw_read_unlock_bh",
		"_raw_read_unlock_irq", "_raw_read_unlock_irqrestore",
		"_raw_write_unlock", "_raw_write_unlock_bh",
		"_raw_write_unlock_irq", "_raw_write_unlock_irqrestore",
	};
	static struct kprobe probes[ARRAY_SIZE(names)];
	unsigned int i, found = 0;

	find_holder();
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		probes[i].symbol_name = names[i];
		probes[i].pre_handler = handler;
		found += !register_kprobe(&probes[i]);
	}
	if (!found)
		panic("no probe at unlocks");
}

/* A function is reached by sending, or by what the shell does meanwhile. */
static void send_until_somebody_comes(void)
{
	unsigned int n;

	for (n = 0; n < 5000; n++) {
		send_something(card());
		usleep_range(500, 1000);
	}
	panic("nobody came by %s", symbol);
}

static void at(void)
{
	probe_symbol(panics_at);
	send_until_somebody_comes();
}

static int panics_holding(struct kprobe *probe, struct pt_regs *regs)
{
	return by_holder(regs) ? panics_at(probe, regs) : 0;
}

/* Sends more than its socket may, so that it sleeps until a frame is freed. */
static int writes(void *unused)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_LOOPBACK),
		.sll_ifindex = card()->ifindex,
		.sll_halen = ETH_ALEN,
		.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	static char frame[1000];
	struct socket *sock;

	if (sock_create_kern(&init_net, AF_PACKET, SOCK_DGRAM, 0, &sock))
		panic("no socket");
	sock->sk->sk_sndbuf = SOCK_MIN_SNDBUF * 2;
	for (;;) {
		struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to) };
		struct kvec vec = { .iov_base = frame, .iov_len = sizeof(frame) };

		kernel_sendmsg(sock, &msg, &vec, 1, sizeof(frame));
		cond_resched();
	}
	return 0;
}

/* On each CPU a task that the next freed frame wakes. */
static void let_write(void)
{
	struct task_struct *task;
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		task = kthread_create(writes, NULL, "writes");
		if (IS_ERR(task))
			panic("no thread");
		kthread_bind(task, cpu);
		wake_up_process(task);
	}
	ssleep(1);
}

/* Nobody is in the card's driver here: sending and polling are allowed. */
static int panics_outside(struct kprobe *probe, struct pt_regs *regs)
{
	return softirq_count() ? 0 : panics_at(probe, regs);
}

static void writing_at(void)
{
	let_write();
	probe_symbol(panics_outside);
	send_until_somebody_comes();
}

static void holding(void)
{
	probe_unlocks(panics_holding);
	send_until_somebody_comes();
}

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
static void interrupt_holder(void)
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
	panic("%s", what);
}

/* The other CPU sends, and stays there. */
static int sends_to_symbol(void *unused)
{
	for (;;) {
		send_something(card());
		cond_resched();
	}
	return 0;
}

static void stopped_at(void)
{
	unsigned int here = raw_smp_processor_id();

	set_cpus_allowed_ptr(current, cpumask_of(here));
	probe_symbol(holds_at);
	WRITE_ONCE(holder_cpu, cpumask_any_but(cpu_online_mask, here));
	beside(sends_to_symbol, "another CPU was stopped there");
}

static int holds_outside(struct kprobe *probe, struct pt_regs *regs)
{
	return softirq_count() ? 0 : holds_at(probe, regs);
}

static void writing_stopped_at(void)
{
	unsigned int here = raw_smp_processor_id();

	set_cpus_allowed_ptr(current, cpumask_of(here));
	let_write();
	probe_symbol(holds_outside);
	WRITE_ONCE(holder_cpu, cpumask_any_but(cpu_online_mask, here));
	while (!READ_ONCE(held))
		cpu_relax();
	panic("another CPU was stopped there");
}

static int holds_holding(struct kprobe *probe, struct pt_regs *regs)
{
	return by_holder(regs) ? holds_at(probe, regs) : 0;
}

static void stopped_holding(void)
{
	unsigned int here = raw_smp_processor_id();

	set_cpus_allowed_ptr(current, cpumask_of(here));
	probe_unlocks(holds_holding);
	WRITE_ONCE(holder_cpu, cpumask_any_but(cpu_online_mask, here));
	interrupt_holder();
	beside(sends_to_symbol, "another CPU was stopped with a lock");
}

static const struct {
	const char *name;
	/* what this CPU does; it panics here or soon */
	void (*alone)(void);
	/* or what another one does when this one panics, saying this */
	int (*other)(void *unused);
	const char *says;
} ways[] = {
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
	{ "traffic", .other = sends, .says = "another CPU sends without end" },
	{ "both", .other = panics_too, .says = "on two CPUs at once" },
	{ "double_fault", .alone = double_fault },
	{ "oops", .alone = oops },
	{ "sending", .alone = sending },
	{ "at", .alone = at },
	{ "holding", .alone = holding },
	{ "writing_at", .alone = writing_at },
	{ "writing_stopped_at", .alone = writing_stopped_at },
	{ "stopped_at", .alone = stopped_at },
	{ "stopped_holding", .alone = stopped_holding },
	{ "irq_own", .alone = irq_own },
	{ "irq_other", .alone = irq_other },
	{ "mark", .alone = mark },
	{ "no_netpoll", .alone = no_netpoll },
	{ "mistakes", .alone = mistakes },
};

static int __init pc_crash_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(how, ways[i].name))
			break;
	if (i == ARRAY_SIZE(ways))
		return -EINVAL;

	if (ways[i].alone)
		ways[i].alone();
	else
		beside(ways[i].other, ways[i].says);
	/* what comes back has nothing to stay for */
	return -EAGAIN;
}
module_init(pc_crash_init);

MODULE_DESCRIPTION("crashes for the tests of panicast");
MODULE_LICENSE("GPL");
