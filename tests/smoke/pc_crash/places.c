// SPDX-License-Identifier: GPL-2.0-only
/*
 * Panics at a function of the kernel or of a driver, as a function gives a lock
 * back, or while another CPU has been stopped there.
 */
#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/if_packet.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/sock.h>

#include "pc_crash.h"

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

static int panics_there(struct kprobe *probe, struct pt_regs *regs)
{
	panic("panics at %s", probe->symbol_name);
	return 0;
}

/* Of two functions whichever comes first; meanwhile this task freezes with all others. */
static void later_at(void)
{
	static struct kprobe probes[2];
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(probes); n++) {
		probes[n].symbol_name = strsep(&symbol, ",");
		probes[n].pre_handler = panics_there;
		if (register_kprobe(&probes[n]))
			panic("no probe at %s", probes[n].symbol_name);
	}
	for (;;) {
		schedule_timeout_interruptible(HZ);
		try_to_freeze();
	}
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

static bool writing;

/* Nobody is in the card's driver here: sending and polling are allowed. */
static int panics_outside(struct kprobe *probe, struct pt_regs *regs)
{
	if (!READ_ONCE(writing) || softirq_count())
		return 0;
	return panics_at(probe, regs);
}

/*
 * The probe comes before the writers. The kernel changes a function's code for
 * it, and once two CPUs jumped to nowhere that came by just then.
 */
static void writing_at(void)
{
	probe_symbol(panics_outside);
	let_write();
	WRITE_ONCE(writing, true);
	send_until_somebody_comes();
}

static void holding(void)
{
	probe_unlocks(panics_holding);
	send_until_somebody_comes();
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
	probe_symbol(holds_outside);
	let_write();
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

const struct way places[] = {
	{ "sending", .alone = sending },
	{ "at", .alone = at },
	{ "later_at", .alone = later_at },
	{ "holding", .alone = holding },
	{ "writing_at", .alone = writing_at },
	{ "writing_stopped_at", .alone = writing_stopped_at },
	{ "stopped_at", .alone = stopped_at },
	{ "stopped_holding", .alone = stopped_holding },
	{ }
};
