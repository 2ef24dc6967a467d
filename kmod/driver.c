// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decides whether a driver would wait for ever for a lock of its own.
 *
 * Such a lock can't be tried, because only its driver knows where it is.  But
 * its holder is inside the driver and has left signs of that: a name on this
 * CPU's stack, a transmit lock, the owner of a NAPI, an interrupt that is
 * being handled, a lock of the kernel's around a call to the driver.  We send
 * nothing on a card with such a sign, unless its driver is known to have no
 * lock that matters.
 */
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "driver.h"
#include "irq.h"
#include "where.h"

/* A CPU stopped by an interrupt holds no lock that sending takes … */
#define TX	BIT(0)	/* … while it has a transmit lock */
#define POLL	BIT(1)	/* … while it is in a NAPI's poll */
/* The driver takes no lock of its own, neither to send nor to poll. */
#define NONE	(BIT(2) | POLL | TX)
/* Its poll leaves others' frames to a softirq, which frees them later. */
#define LEAVES	BIT(3)
/* It takes memory to receive, even without a budget, if it got none before. */
#define REFILLS	BIT(4)

/*
 * What was read in the drivers of Linux 6.1.  Of one that is not here the worst
 * is assumed.
 *
 * Locks: those that are not NONE take one with interrupts off where it says so.
 * vmxnet3 and e100 send and poll under the same lock, and their polls leave
 * interrupts on; ne2k-pci only disables the card's own.  macb, bcmgenet and gve
 * have plain locks wherever they are.  When the link has changed, the polls of
 * tg3 and bnx2 take a plain one (tp->lock, phy_lock): a timer that was stopped
 * with it leaves no sign.
 *
 * Behind each is what frees a frame that was sent.  Two free it for good: e1000
 * gives napi_consume_skb() a budget of its own, ena calls dev_kfree_skb().
 * bnxt_poll() does not, but even without a budget it calls net_dim(), which
 * queues work and so wakes a worker, under the same locks of the scheduler.
 * virtio_net did so, too, until its poll passed on the budget that it was given:
 * in 6.11 and the stable series of that day.
 */
static const struct {
	const char *name;
	unsigned int locks;
} drivers[] = {
	{ "virtio_net", NONE },			/* free_old_xmit_skbs() */
	{ "e1000", NONE },			/* e1000_unmap_and_free_tx_resource() */
	{ "e1000e", NONE | LEAVES | REFILLS },	/* e1000_put_txbuf() */
	{ "igb", NONE | LEAVES | REFILLS },	/* igb_clean_tx_irq() */
	{ "igc", NONE | LEAVES | REFILLS },	/* igc_clean_tx_irq() */
	{ "ixgbe", NONE | LEAVES },		/* ixgbe_clean_tx_irq() */
	{ "ixgbevf", NONE | LEAVES },		/* ixgbevf_clean_tx_irq() */
	{ "i40e", NONE | LEAVES },		/* i40e_clean_tx_irq() */
	{ "iavf", NONE | LEAVES },		/* iavf_clean_tx_irq() */
	{ "ice", NONE | LEAVES },		/* ice_clean_tx_irq() */
	{ "bnxt_en", NONE },			/* bnxt_poll() */
	{ "mlx4_core", NONE | LEAVES },		/* mlx4_en_free_tx_desc() */
	{ "mlx5_core", NONE | LEAVES },		/* mlx5e_consume_skb() */
	{ "ena", NONE },			/* ena_clean_tx_irq() */
	{ "r8169", NONE | LEAVES },		/* rtl_tx() */
	{ "qede", NONE | LEAVES | REFILLS },	/* qede_free_tx_pkt() */
	{ "tg3", TX | POLL | LEAVES },		/* tg3_tx() */
	{ "bnx2", TX | POLL | LEAVES },		/* bnx2_tx_int() */
	{ "bnx2x", TX | POLL | LEAVES },	/* bnx2x_free_tx_pkt() */
	{ "vmxnet3", TX | LEAVES },		/* vmxnet3_unmap_pkt() */
	{ "hv_netvsc", TX | POLL | LEAVES },	/* netvsc_send_tx_complete() */
	{ "vif", TX | POLL | LEAVES },		/* xen-netfront: xennet_tx_buf_gc() */
	{ "8139too", TX | POLL | LEAVES },	/* rtl8139_start_xmit() */
	{ "8139cp", TX | POLL | LEAVES },	/* cp_tx() */
	{ "pcnet32", TX | POLL | LEAVES },	/* pcnet32_tx() */
	{ "e100", TX | LEAVES },		/* e100_tx_clean() */
	{ "ne2k-pci", TX | LEAVES },		/* __ei_start_xmit() */
};

static unsigned int locks_of(const struct net_device *dev)
{
	const struct device *parent = dev->dev.parent;
	unsigned int i;

	/* bonds, VLANs and bridges only pass frames on */
	if (!parent)
		return NONE | LEAVES;
	for (i = 0; parent->driver && i < ARRAY_SIZE(drivers); i++)
		if (!strcmp(parent->driver->name, drivers[i].name))
			return drivers[i].locks;
	return 0;
}

/**
 * pc_driver_maps() - whether an IOMMU stands between the card and memory
 * @dev: the card
 *
 * Its locks are taken to map a frame, and to unmap one that was sent.
 */
bool pc_driver_maps(struct net_device *dev)
{
#ifdef CONFIG_IOMMU_API
	struct device *parent;

	for (parent = dev->dev.parent; parent; parent = parent->parent) {
		struct iommu_domain *domain;

		if (!device_iommu_mapped(parent))
			continue;
		domain = iommu_get_domain_for_dev(parent);
		return !domain || domain->type != IOMMU_DOMAIN_IDENTITY;
	}
#endif
	return false;
}

static bool own(int cpu)
{
	return cpu == raw_smp_processor_id();
}

/* Whether a transmit lock is held, by another CPU or by ours as well. */
static bool sends(struct net_device *dev, bool ours)
{
	unsigned int i;

	for (i = 0; i < READ_ONCE(dev->real_num_tx_queues); i++) {
		struct netdev_queue *txq = netdev_get_tx_queue(dev, i);

		if (!ours && own(READ_ONCE(txq->xmit_lock_owner)))
			continue;
		if (!__netif_tx_trylock(txq))
			return true;
		__netif_tx_unlock(txq);
	}
	return false;
}

/* Whether a NAPI is being polled, by another CPU or by ours as well. */
static bool polls(struct net_device *dev, bool ours)
{
	struct napi_struct *napi;

	list_for_each_entry_rcu(napi, &dev->napi_list, dev_list) {
		int owner = READ_ONCE(napi->poll_owner);

		if (owner != -1 && (ours || !own(owner)))
			return true;
	}
	return false;
}

/** pc_driver_occupied() - whether some CPU is seen in the driver */
bool pc_driver_occupied(struct net_device *dev)
{
	return sends(dev, true) || polls(dev, true) || pc_irq_handled(dev) ||
	       pc_irq_threaded(dev);
}

/* Whether this CPU is in the driver, by what an oops leaves behind. */
static bool here(struct net_device *dev)
{
	struct napi_struct *napi;
	unsigned int i;

	for (i = 0; i < READ_ONCE(dev->real_num_tx_queues); i++)
		if (own(READ_ONCE(netdev_get_tx_queue(dev, i)->xmit_lock_owner)))
			return true;
	list_for_each_entry_rcu(napi, &dev->napi_list, dev_list)
		if (own(READ_ONCE(napi->poll_owner)))
			return true;
	return in_hardirq() && pc_irq_handled(dev);
}

/*
 * Whether some CPU has the driver change what the card listens to, or reset a
 * card that hangs: the kernel's own locks around that are held.  When a driver
 * gives its lock back last of all, its name has left the stack (8139cp's and
 * 8139too's in set_rx_mode()).
 */
static bool told(struct net_device *dev)
{
	return spin_is_locked(&dev->addr_list_lock) ||
	       spin_is_locked(&dev->tx_global_lock);
}

/* Whether what crashed was called by the driver, or by one that it sits on. */
static bool inside(struct net_device *dev, enum pc_slot slot)
{
	const struct net_device_ops *ops = dev->netdev_ops;
	const struct device *parent;
	char name[64];
	const char *module;

	if (told(dev))
		return true;

	/* libraries of drivers, such as 8390, have the function itself */
	snprintf(name, sizeof(name), "%ps", ops->ndo_start_xmit);
	module = strchr(name, '[');
	if (module && pc_where_calls(slot, module))
		return true;

	for (parent = dev->dev.parent; parent; parent = parent->parent) {
		if (!parent->driver || !parent->driver->owner)
			continue;
		snprintf(name, sizeof(name), "[%s]",
			 module_name(parent->driver->owner));
		if (pc_where_calls(slot, name))
			return true;
	}
	if (pc_irq_crashed(dev, slot))
		return true;
	/* no name tells a driver that is part of the kernel */
	if (module || !dev->dev.parent)
		return false;
	/* after an oops the other CPUs go on, and give back what they hold */
	return slot == PC_SLOT_PANIC ? pc_driver_occupied(dev) : here(dev);
}

static bool inside_iommu(enum pc_slot slot)
{
	static const char * const parts[] = {
		"iommu", "iova", "qi_submit", "qi_flush", "dmar_", "fq_flush",
		"fq_ring", "smmu", NULL
	};

	return pc_where_calls_any(slot, parts);
}

static bool inside_allocator(enum pc_slot slot)
{
	static const char * const parts[] = {
		"slab", "kmem", "kmalloc", "kfree", "partial", "alloc_pages",
		"free_pages", "free_unref", "pcppages", "rmqueue", "freelist",
		NULL
	};

	return pc_where_calls_any(slot, parts);
}

/* Besides its memory: whoever waits for the frame to be freed. */
static bool inside_freeing(enum pc_slot slot)
{
	static const char * const parts[] = {
		"sched", "wake", "ttwu", "_task", "entity", "balance",
		"migrat", "cpus_allowed", "skb", "sock", "nf_", NULL
	};

	return inside_allocator(slot) || pc_where_calls_any(slot, parts);
}

/**
 * pc_driver_frees() - whether polling could wait for a lock of somebody else
 * @dev: the card
 *
 * A frame of others that is freed with interrupts off by dev_consume_skb_any()
 * or by napi_consume_skb() with a budget of 0 is left to a softirq, which will
 * never run.  Some drivers free it at once: then its memory goes back to the
 * allocator, and whoever waits for room to send is woken, under the locks of
 * both.
 */
bool pc_driver_frees(struct net_device *dev)
{
	return !(locks_of(dev) & LEAVES);
}

/**
 * pc_driver_freeing() - whether such a lock may be held for ever
 * @slot: whose crash it is
 */
bool pc_driver_freeing(enum pc_slot slot)
{
	return inside_freeing(slot) ||
	       (slot == PC_SLOT_PANIC && pc_where_stopped_by_nmi());
}

/**
 * pc_driver_starved() - whether polling could wait for the allocator for ever
 * @dev: the card
 * @slot: whose crash it is
 */
bool pc_driver_starved(struct net_device *dev, enum pc_slot slot)
{
	return locks_of(dev) & REFILLS &&
	       (inside_allocator(slot) ||
		(slot == PC_SLOT_PANIC && pc_where_stopped_by_nmi()));
}

/**
 * pc_driver_queueing() - whether the lock of a pool of workers may be held for ever
 * @slot: whose crash it is
 *
 * A poll may queue work: bnxt_en's when the firmware tells of something, those
 * of e1000e, ixgbe, mlx4, mlx5 and tg3 when the card has failed or hangs.
 */
bool pc_driver_queueing(enum pc_slot slot)
{
	static const char * const parts[] = {
		"queue_work", "insert_work", "pwq_", "grab_pending",
		"worker_enter_idle", "worker_leave_idle", NULL
	};

	return pc_where_calls_any(slot, parts);
}

/**
 * pc_driver_trapped() - whether sending could wait for ever
 * @dev: the card
 * @slot: whose crash it is; of an oops only this CPU never goes on
 */
bool pc_driver_trapped(struct net_device *dev, enum pc_slot slot)
{
	unsigned int locks = locks_of(dev);
	bool maps = pc_driver_maps(dev);

	/* it clones the frame for each of its ports but one */
	if (netif_is_bridge_master(dev) &&
	    (inside_allocator(slot) ||
	     (slot == PC_SLOT_PANIC && pc_where_stopped_by_nmi())))
		return true;
	if ((locks & NONE) == NONE && !maps)
		return false;
	if (inside(dev, slot) || (maps && inside_iommu(slot)))
		return true;
	if (slot != PC_SLOT_PANIC)
		return false;
	if (pc_where_stopped_by_nmi())
		return pc_driver_occupied(dev);
	return (!(locks & TX) && sends(dev, false)) ||
	       (!(locks & POLL) && polls(dev, false)) ||
	       ((locks & NONE) != NONE &&
		(pc_irq_disabled(dev) || pc_irq_threaded(dev)));
}

/**
 * pc_driver_in_handler() - whether its interrupt handler must not be called
 * @dev: the card
 * @slot: whose crash it is
 */
bool pc_driver_in_handler(struct net_device *dev, enum pc_slot slot)
{
	/*
	 * The polls of these clean up what was sent.  The handlers of some take
	 * timers' and workqueues' locks, when a link has changed meanwhile.
	 */
	if ((locks_of(dev) & NONE) == NONE)
		return true;
	/* what this CPU handles has not come to the driver, or is on its stack */
	return inside(dev, slot) || pc_irq_threaded(dev) ||
	       (pc_irq_handled(dev) && pc_where_stopped_by_nmi());
}
