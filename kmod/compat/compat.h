/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that panicast supports.  The HAVE_*
 * names are set in Kbuild.include, by looking at the kernel's headers.
 */
#ifndef PANICAST_COMPAT_H
#define PANICAST_COMPAT_H

#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/irqnr.h>
#include <linux/kernel.h>
#include <linux/kmsg_dump.h>
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/sched/isolation.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <net/addrconf.h>
#include <net/devlink.h>
#include <net/ipv6.h>

#if !IS_ENABLED(CONFIG_NETPOLL)
#error "panicast sends through netpoll; this kernel was built without CONFIG_NETPOLL."
#endif

#if !IS_ENABLED(CONFIG_INET)
#error "panicast sends IPv4; this kernel was built without CONFIG_INET."
#endif

#ifdef HAVE_IPV6_STUBS
#include <net/ipv6_stubs.h>
#endif

#ifdef HAVE_HEX_H
#include <linux/hex.h>
#endif

#ifdef HAVE_PANIC_H
#include <linux/panic.h>
#endif

#ifdef HAVE_PANIC_NOTIFIER_H
#include <linux/panic_notifier.h>
#endif

#ifndef in_hardirq
#define in_hardirq() in_irq()
#endif

/* Formerly declared in linux/crash_core.h. */
phys_addr_t paddr_vmcoreinfo_note(void);

/* The address of the note that kdump would get, 0 if there is none. */
static inline phys_addr_t compat_vmcoreinfo_note(void)
{
#if IS_ENABLED(CONFIG_VMCORE_INFO) || IS_ENABLED(CONFIG_CRASH_CORE)
	return paddr_vmcoreinfo_note();
#else
	return 0;
#endif
}

#ifndef CONFIG_TINY_RCU
/* Exported, but declared only in kernel/rcu/rcu.h. */
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
#endif

/* Whether from now on whoever waits for RCU waits as short as can be. */
static inline void compat_rcu_hurry(bool hurry)
{
#ifndef CONFIG_TINY_RCU
	if (hurry)
		rcu_expedite_gp();
	else
		rcu_unexpedite_gp();
#endif
}

#ifndef HAVE_KERNEL_LOG_BUFFER
/* Looked up with symbol_get(): one binary serves patched and stock kernels. */
int kernel_log_buffer(char *buf, int max_len);
#endif

/**
 * compat_kmsg_newest() - read the newest lines of the kernel log by kmsg_dump
 * @buf: where to; not terminated
 * @size: bytes there
 *
 * Before 5.12 the place in the log was kept in a dumper, which had to be
 * active.
 *
 * Return: bytes written
 */
static inline size_t compat_kmsg_newest(char *buf, size_t size)
{
	size_t len = 0;
#ifdef HAVE_KMSG_DUMP_ITER
	struct kmsg_dump_iter iter;

	kmsg_dump_rewind(&iter);
#else
	struct kmsg_dumper iter = { .active = true };

	kmsg_dump_rewind(&iter);
#endif
	if (!kmsg_dump_get_buffer(&iter, true, buf, size, &len))
		return 0;
	return len;
}

/* A place in the kernel log, to read on from. */
struct compat_log_place {
#ifdef HAVE_KMSG_DUMP_ITER
	struct kmsg_dump_iter iter;
#else
	struct kmsg_dumper iter;
#endif
};

/* At the oldest that the log has. */
static inline void compat_log_begin(struct compat_log_place *place)
{
	memset(place, 0, sizeof(*place));
#ifndef HAVE_KMSG_DUMP_ITER
	place->iter.active = true;
#endif
	kmsg_dump_rewind(&place->iter);
}

/* Behind what the log has now. */
static inline void compat_log_end(struct compat_log_place *place)
{
	compat_log_begin(place);
	place->iter.cur_seq = place->iter.next_seq;
}

/* Reads the next message, as syslog(2) gives it; false if there is none yet. */
static inline bool compat_log_line(struct compat_log_place *place, char *line,
				   size_t size, size_t *len)
{
	return kmsg_dump_get_line(&place->iter, true, line, size, len);
}

/* Where the next message is in the log, counted from the boot. */
static inline s64 compat_log_seq(const struct compat_log_place *place)
{
	return place->iter.cur_seq;
}

/* compat_log_line(), but only messages from before the place was set. */
static inline bool compat_log_line_then(struct compat_log_place *place,
					char *line, size_t size, size_t *len)
{
	return place->iter.cur_seq < place->iter.next_seq &&
	       compat_log_line(place, line, size, len);
}

/* Whether the kernel reports that this machine was forked, see seal.c. */
#ifdef HAVE_VMFORK_NOTIFIER
#define COMPAT_VMFORK_TOLD	IS_ENABLED(CONFIG_VMGENID)
#else
#define COMPAT_VMFORK_TOLD	false
#endif

/**
 * compat_vmfork_register() - have @nb called when the virtual machine was forked
 *
 * Return: 0, even if the kernel never reports that; or an error
 */
static inline int compat_vmfork_register(struct notifier_block *nb)
{
#ifdef HAVE_VMFORK_NOTIFIER
	return register_random_vmfork_notifier(nb);
#else
	return 0;
#endif
}

static inline void compat_vmfork_unregister(struct notifier_block *nb)
{
#ifdef HAVE_VMFORK_NOTIFIER
	unregister_random_vmfork_notifier(nb);
#endif
}

/* Whether threads that may run anywhere may run here: isolcpus=, nohz_full=. */
static inline bool compat_housekeeping(int cpu)
{
#ifdef HAVE_HK_TYPE
	return housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN) &&
	       housekeeping_test_cpu(cpu, HK_TYPE_KTHREAD);
#else
	return housekeeping_test_cpu(cpu, HK_FLAG_DOMAIN) &&
	       housekeeping_test_cpu(cpu, HK_FLAG_KTHREAD);
#endif
}

/* One more than the highest number of an interrupt. */
static inline unsigned int compat_nr_irqs(void)
{
#ifdef HAVE_IRQ_GET_NR_IRQS
	return irq_get_nr_irqs();
#else
	return nr_irqs;
#endif
}

/*
 * Stores the return addresses on this CPU's stack, at most @size of them.
 * Return: how many
 */
static inline unsigned int compat_stack_trace(unsigned long *address,
					      unsigned int size)
{
#ifdef CONFIG_STACKTRACE
	return stack_trace_save(address, size, 0);
#else
	return 0;
#endif
}

/**
 * compat_in_nmi() - whether another CPU was stopped in an NMI, or not at all
 * @cpu: it
 *
 * x86 keeps the count that in_nmi() looks at by CPU.  Elsewhere a CPU that did
 * not heed the interrupt that stops it is still online.
 */
static inline bool compat_in_nmi(unsigned int cpu)
{
#if defined(CONFIG_X86) && defined(HAVE_PCPU_HOT)
	return per_cpu(pcpu_hot.preempt_count, cpu) & NMI_MASK;
#elif defined(CONFIG_X86)
	return per_cpu(__preempt_count, cpu) & NMI_MASK;
#else
	return cpu_online(cpu);
#endif
}

/**
 * compat_nmi_hide() - look like an interrupt that came with softirqs off
 *
 * On x86 the kernel's ciphers ask whether they may use vector registers.  In an
 * NMI the kernel warns of the question, into the log of the crash; in such an
 * interrupt it says no, and the generic code runs.  Kernels that would say yes
 * even there save the registers, or know that they are in use.  Nobody comes
 * back from an NMI that crashed.
 *
 * Return: for compat_nmi_show()
 */
static inline unsigned int compat_nmi_hide(void)
{
	unsigned int nmi = preempt_count() & NMI_MASK;

	if (nmi) {
		__preempt_count_sub(nmi);
		__preempt_count_add(SOFTIRQ_OFFSET);
	}
	return nmi;
}

static inline void compat_nmi_show(unsigned int nmi)
{
	if (nmi) {
		__preempt_count_sub(SOFTIRQ_OFFSET);
		__preempt_count_add(nmi);
	}
}

/* Frees what netpoll laid ready for @np, whose end it is not told of. */
static inline void compat_netpoll_flush(struct netpoll *np)
{
#ifdef HAVE_NETPOLL_POOL
	/* where netconsole fills its own, ours was never begun */
	if (np->skb_pool.next)
		skb_queue_purge(&np->skb_pool);
#endif
}

/*
 * Whether a device is the port of a card's switch behind which a function of the
 * card is (of PCI or a part of one), not a cable, and not that function's own.
 */
static inline bool compat_port_of_function(struct net_device *dev)
{
	const struct devlink_port *port;

#ifdef HAVE_DEV_DEVLINK_PORT
	port = dev->devlink_port;
#else
	const struct net_device_ops *ops = dev->netdev_ops;

	port = ops->ndo_get_devlink_port ? ops->ndo_get_devlink_port(dev) : NULL;
#endif
	return port && port->attrs.flavour != DEVLINK_PORT_FLAVOUR_PHYSICAL &&
	       port->attrs.flavour != DEVLINK_PORT_FLAVOUR_VIRTUAL;
}

/* Whether the transmit queues of a device have no lock. */
static inline bool compat_dev_lltx(const struct net_device *dev)
{
#ifdef HAVE_DEV_LLTX
	return dev->lltx;
#else
	return dev->features & NETIF_F_LLTX;
#endif
}

/*
 * The route that IPv6 packets of a flow take, whose source address is set.
 * -EAFNOSUPPORT where there is no IPv6, or it is a module that is not loaded.
 */
static inline struct dst_entry *compat_ipv6_route(struct net *net,
						  struct flowi6 *flow)
{
#if !IS_ENABLED(CONFIG_IPV6)
	return ERR_PTR(-EAFNOSUPPORT);
#elif defined(HAVE_IPV6_STUBS)
	return ipv6_stub->ipv6_dst_lookup_flow(net, NULL, flow, NULL);
#else
	/* with ipv6.disable=1 there are no tables to look into */
	if (!ipv6_mod_enabled())
		return ERR_PTR(-EAFNOSUPPORT);
	return ip6_dst_lookup_flow(net, NULL, flow, NULL);
#endif
}

/* The link-local IPv6 address of a device, false where it has none. */
static inline bool compat_ipv6_link_local(const struct net_device *dev,
					  struct in6_addr *address)
{
	bool found = false;
#if IS_ENABLED(CONFIG_IPV6)
	struct inet6_dev *idev = __in6_dev_get(dev);
	struct inet6_ifaddr *ifa;

	if (!idev)
		return false;
	read_lock_bh(&idev->lock);
	list_for_each_entry(ifa, &idev->addr_list, if_list) {
		found = ifa->scope == IFA_LINK;
		if (found) {
			*address = ifa->addr;
			break;
		}
	}
	read_unlock_bh(&idev->lock);
#endif
	return found;
}

/* Defines a kmsg_dumper callback @name that calls @func(reason, message). */
#ifdef HAVE_KMSG_DUMP_DETAIL
#define COMPAT_KMSG_DUMP(name, func)					\
static void name(struct kmsg_dumper *dumper, struct kmsg_dump_detail *detail) \
{									\
	func(detail->reason, detail->description);			\
}
#else
#define COMPAT_KMSG_DUMP(name, func)					\
static void name(struct kmsg_dumper *dumper, enum kmsg_dump_reason reason) \
{									\
	func(reason, NULL);						\
}
#endif

/**
 * compat_bh_off() - keep softirqs from running inside a driver's poll
 *
 * The caller has switched interrupts off, until after compat_bh_on().
 *
 * A hard interrupt or an NMI can't be interrupted by a softirq anyway, and the
 * kernel forbids it to switch them.
 *
 * Return: whether compat_bh_on() has something to undo
 */
static inline bool compat_bh_off(void)
{
	if (in_hardirq() || in_nmi())
		return false;
	local_bh_disable();
	return true;
}

/*
 * Unlike local_bh_enable() this doesn't run what is pending: softirqs would
 * run the network stack of a kernel that has just crashed.  PREEMPT_RT has no
 * other way, and wakes a thread for them, under locks that the panic may have
 * come from: @panics leaves them off.
 */
static inline void compat_bh_on(bool was_off, bool panics)
{
	if (!was_off)
		return;
#ifdef CONFIG_PREEMPT_RT
	if (!panics)
		local_bh_enable();
#else
	_local_bh_enable();
#endif
}

#endif
