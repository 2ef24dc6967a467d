// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that send through others: bonds, VLANs, bridges.
 *
 * With interrupts off they hand a frame to netpoll_send_skb() on the device
 * below, which polls that in ways that may hang, see poll.c, and after one
 * jiffy leaves the frame to a workqueue and says that all is well.  In a panic
 * no work runs any more.  So here we keep netpoll from polling, send what it
 * left as we send our own frames, and do whatever is done to a card to those
 * below it, too.
 *
 * A device with none below counts as a stack of itself.  All of this is for a
 * crash, with interrupts and bottom halves off, under RCU.  What sends or holds
 * netpoll is only for a panic, which no CPU survives.
 */
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/semaphore.h>
#include <linux/workqueue.h>

#include "bust.h"
#include "driver.h"
#include "poll.h"
#include "queue.h"
#include "stack.h"

/**
 * struct walk - what is kept from one device of a stack to the next
 * @ask: the question to each, or what is done to it
 * @slot: whose crash it is
 * @seen: devices so far
 * @held: bits of those, by their order, whose netpoll is held
 * @any: whether one answered yes
 */
struct walk {
	bool (*ask)(struct net_device *dev, enum pc_slot slot);
	enum pc_slot slot;
	unsigned int seen;
	u64 held;
	bool any;
};

typedef int (*visit_fn)(struct net_device *dev, struct netdev_nested_priv *priv);

/* Visits all devices below @dev, at any depth.  Nobody changes them now. */
static void below(struct net_device *dev, visit_fn visit, struct walk *walk)
{
	struct netdev_nested_priv priv = { .data = walk };

	netdev_walk_all_lower_dev_rcu(dev, visit, &priv);
}

static int ask(struct net_device *dev, struct netdev_nested_priv *priv)
{
	struct walk *walk = priv->data;

	walk->any |= walk->ask(dev, walk->slot);
	return 0;
}

/* Whether a device, or one below it, answers yes. */
static bool ask_all(struct net_device *dev, enum pc_slot slot,
		    bool (*question)(struct net_device *, enum pc_slot))
{
	struct walk walk = { .ask = question, .slot = slot };

	walk.any = question(dev, slot);
	below(dev, ask, &walk);
	return walk.any;
}

static bool occupied(struct net_device *dev, enum pc_slot slot)
{
	return pc_driver_occupied(dev);
}

static bool maps(struct net_device *dev, enum pc_slot slot)
{
	return pc_driver_maps(dev);
}

static bool frees(struct net_device *dev, enum pc_slot slot)
{
	return pc_driver_frees(dev);
}

static bool bust(struct net_device *dev, enum pc_slot slot)
{
	return pc_bust(dev);
}

/** pc_stack_occupied() - pc_driver_occupied() for a device and those below */
bool pc_stack_occupied(struct net_device *dev)
{
	return ask_all(dev, PC_SLOT_PANIC, occupied);
}

/** pc_stack_trapped() - pc_driver_trapped() for a device and those below */
bool pc_stack_trapped(struct net_device *dev, enum pc_slot slot)
{
	return ask_all(dev, slot, pc_driver_trapped);
}

/** pc_stack_in_handler() - pc_driver_in_handler() for a device and those below */
bool pc_stack_in_handler(struct net_device *dev, enum pc_slot slot)
{
	return ask_all(dev, slot, pc_driver_in_handler);
}

/** pc_stack_maps() - pc_driver_maps() for a device and those below */
bool pc_stack_maps(struct net_device *dev)
{
	return ask_all(dev, PC_SLOT_PANIC, maps);
}

/** pc_stack_frees() - pc_driver_frees() for a device and those below */
bool pc_stack_frees(struct net_device *dev)
{
	return ask_all(dev, PC_SLOT_PANIC, frees);
}

/** pc_stack_starved() - pc_driver_starved() for a device and those below */
bool pc_stack_starved(struct net_device *dev, enum pc_slot slot)
{
	return ask_all(dev, slot, pc_driver_starved);
}

/** pc_stack_bust() - pc_bust() for a device and those below */
bool pc_stack_bust(struct net_device *dev)
{
	return ask_all(dev, PC_SLOT_PANIC, bust);
}

/* down_trylock() waits for the lock of the semaphore itself. */
static bool try_down(struct semaphore *sem)
{
	bool done;

	if (!raw_spin_trylock(&sem->lock))
		return false;
	done = sem->count > 0;
	if (done)
		sem->count--;
	raw_spin_unlock(&sem->lock);
	return done;
}

static int hold(struct net_device *dev, struct netdev_nested_priv *priv)
{
	struct netpoll_info *info = rcu_dereference_bh(dev->npinfo);
	struct walk *walk = priv->data;

	if (info) {
		/*
		 * then netpoll thinks that its work is on its way, and takes no
		 * lock
		 */
		set_bit(WORK_STRUCT_PENDING_BIT,
			work_data_bits(&info->tx_work.work));
		if (walk->seen < BITS_PER_TYPE(walk->held) &&
		    try_down(&info->dev_lock))
			walk->held |= BIT_ULL(walk->seen);
	}
	walk->seen++;
	return 0;
}

/* Keeps netpoll from polling the devices below.  For let_go_below(). */
static u64 hold_below(struct net_device *dev)
{
	struct walk walk = {};

	below(dev, hold, &walk);
	return walk.held;
}

static int let_go(struct net_device *dev, struct netdev_nested_priv *priv)
{
	struct walk *walk = priv->data;

	if (walk->seen < BITS_PER_TYPE(walk->held) &&
	    walk->held & BIT_ULL(walk->seen))
		up(&rcu_dereference_bh(dev->npinfo)->dev_lock);
	walk->seen++;
	return 0;
}

static void let_go_below(struct net_device *dev, u64 held)
{
	struct walk walk = { .held = held };

	below(dev, let_go, &walk);
}

/* What netpoll_start_xmit() does first, for cards that can't tag a frame. */
static struct sk_buff *tagged(struct sk_buff *skb)
{
	if (!skb_vlan_tag_present(skb) ||
	    vlan_hw_offload_capable(netif_skb_features(skb), skb->vlan_proto))
		return skb;
	return __vlan_hwaccel_push_inside(skb);
}

static int flush(struct net_device *dev, struct netdev_nested_priv *priv)
{
	struct netpoll_info *info = rcu_dereference_bh(dev->npinfo);
	struct walk *walk = priv->data;
	unsigned int queue = 0;

	if (!info || skb_queue_empty(&info->txq))
		return 0;
	if (!spin_trylock(&info->txq.lock)) {
		walk->any = true;
		return 0;
	}
	while (!skb_queue_empty(&info->txq)) {
		struct sk_buff *skb = tagged(__skb_dequeue(&info->txq));

		if (skb && !pc_queue_send(dev, &queue, skb)) {
			__skb_queue_head(&info->txq, skb);
			walk->any = true;
			break;
		}
	}
	spin_unlock(&info->txq.lock);
	return 0;
}

static bool flush_below(struct net_device *dev)
{
	struct walk walk = {};

	below(dev, flush, &walk);
	return !walk.any;
}

/**
 * pc_stack_flush() - send what netpoll left to a workqueue
 * @dev: the device on which it was sent
 *
 * Return: whether there is nothing left
 */
bool pc_stack_flush(struct net_device *dev)
{
	u64 held = hold_below(dev);
	bool done = flush_below(dev);

	let_go_below(dev, held);
	return done;
}

/**
 * pc_stack_send() - pc_queue_send(), when everything before has left
 * @dev: its device
 * @first: the queue to try first; set to the one that took the frame
 * @skb: the frame; the driver's when it was taken
 *
 * Return: whether a queue took it
 */
bool pc_stack_send(struct net_device *dev, unsigned int *first,
		   struct sk_buff *skb)
{
	u64 held = hold_below(dev);
	bool done = flush_below(dev) && pc_queue_send(dev, first, skb);

	let_go_below(dev, held);
	return done;
}

static int poll(struct net_device *dev, struct netdev_nested_priv *priv)
{
	struct walk *walk = priv->data;

	pc_poll(dev, walk->any);
	walk->seen++;
	return 0;
}

/** pc_stack_poll() - pc_poll() for the devices below, or that itself */
void pc_stack_poll(struct net_device *dev, bool handler)
{
	struct walk walk = { .any = handler };

	below(dev, poll, &walk);
	if (!walk.seen)
		pc_poll(dev, handler);
}
