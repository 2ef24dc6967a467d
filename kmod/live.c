// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records while the machine is well: test, hello, bye, and what was kept of a
 * crash before this boot.
 *
 * RTNL is held while a record is put together, but not while it waits for
 * cards to send it: a card that never confirms a frame must not keep the
 * whole machine from changing an address.  The records leave where the
 * network stack would send, see upper.c.
 */
#include <linux/bottom_half.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/etherdevice.h>
#include <linux/ktime.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "frame.h"
#include "iface.h"
#include "live.h"
#include "netpoll.h"
#include "queue.h"
#include "record.h"
#include "upper.h"

#define POLL_US		1000

/**
 * struct voice - a device that says the record
 * @dev: the device, held
 * @burst: its frames, filled
 * @ways: to how many destinations
 * @group: the device of which all ports together say a record once
 * @alone: no other device is above or below it, so it is sent on as in a panic
 */
struct voice {
	struct net_device *dev;
	struct pc_burst *burst;
	unsigned int ways;
	const struct net_device *group;
	bool alone;
};

/**
 * struct pc_live - a record on its way
 * @asked: by what an answer to it is known
 * @shape: how many frames it is
 * @gap_us: pause between two of them
 * @drain_ms: how long to wait for the cards to have sent them
 * @voices: number of @voice
 * @voice: the devices that say it
 */
struct pc_live {
	struct pc_asked asked;
	struct pc_shape shape;
	unsigned int gap_us;
	unsigned int drain_ms;
	unsigned int voices;
	struct voice voice[];
};

/*
 * What has text uses the frames that lie ready for a panic, which are replaced
 * first: a panic finds its frames at any moment.
 */
static struct pc_burst *take_burst(struct pc_iface *iface,
				   enum pc_wire_type type)
{
	struct pc_shape one = pc_shape(pc_config(), type, 1);
	struct pc_burst *spare, *fresh;

	if (type == PC_WIRE_HELLO || type == PC_WIRE_BYE)
		return pc_burst_alloc(iface->dev, &one);

	spare = READ_ONCE(iface->spare[PC_SLOT_PANIC]);
	fresh = spare ? pc_burst_alloc(iface->dev, &spare->shape) : NULL;
	return fresh ? xchg(&iface->spare[PC_SLOT_PANIC], fresh) : NULL;
}

static bool group_speaks(const struct pc_live *live,
			 const struct net_device *group)
{
	unsigned int i;

	for (i = 0; i < live->voices; i++)
		if (live->voice[i].group == group)
			return true;
	return false;
}

/* Adds an interface to those that say the record, if it may. */
static int add_voice(struct pc_live *live, struct pc_iface *iface,
		     enum pc_wire_type type)
{
	const struct pc_ways *ways = pc_iface_ways(iface);
	struct net_device *dev, *group;
	struct pc_burst *burst;

	if (!ways || !ways->n)
		return 0;
	dev = pc_upper_voice(iface->dev, &group);
	if (!dev || group_speaks(live, group))
		return 0;
	burst = take_burst(iface, type);
	if (!burst)
		return -ENOMEM;
	iface->firing[PC_SLOT_LIVE] = burst;
	burst->ways = *ways;
	dev_hold(dev);
	live->voice[live->voices++] = (struct voice) {
		.dev = dev,
		.burst = burst,
		.ways = ways->n,
		.group = group,
		.alone = dev == iface->dev &&
			 list_empty(&dev->adj_list.lower),
	};
	return 0;
}

/* Fills the frame of a voice for one destination with a datagram. */
static void fill_frame(struct pc_draft *draft, const struct pc_iface *iface,
		       const struct pc_way *way, struct sk_buff *skb,
		       struct net_device *dev, size_t len)
{
	if (len)
		pc_frame_v1(skb, iface, way, draft->cfg, draft->datagram, len);
	else
		pc_frame_raw(skb, iface, way, &draft->rec);
	/* a master that sends for it has an address of its own */
	skb->dev = dev;
	ether_addr_copy(eth_hdr(skb)->h_source, dev->dev_addr);
}

/* Fills the frames of all voices, for each pass, with a datagram. */
static void fill(struct pc_live *live, struct pc_draft *draft, unsigned int seq)
{
	bool raw = draft->cfg->format == PC_FORMAT_RAW;
	size_t len = raw ? 0 : pc_record_datagram(draft, seq);
	unsigned int pass, way, i = 0;
	struct pc_iface *iface;
	struct sk_buff *skb;

	pc_for_each_iface(iface) {
		struct pc_burst *burst = iface->firing[PC_SLOT_LIVE];

		if (!burst)
			continue;
		for (pass = 0; pass < burst->shape.passes; pass++) {
			for (way = 0; way < burst->ways.n; way++) {
				skb = pc_burst_skb(burst, pass, seq, way);
				if (skb)
					fill_frame(draft, iface,
						   &burst->ways.way[way], skb,
						   live->voice[i].dev, len);
			}
		}
		i++;
	}
}

static void compose(struct pc_live *live, struct pc_draft *draft,
		    enum pc_wire_type type, const char *reason)
{
	const struct pc_wire_record *rec = &draft->rec;
	unsigned int seq;

	if (!pc_record_compose(draft, PC_SLOT_LIVE, type, reason))
		return;
	live->asked = (struct pc_asked) {
		.event = rec->event,
		.flags = rec->flags,
		.key_id = rec->key_id,
	};
	memcpy(live->asked.boot_id, rec->boot_id, sizeof(rec->boot_id));
	memcpy(live->asked.host, rec->host, sizeof(rec->host));
	live->gap_us = draft->cfg->gap_us;
	live->drain_ms = draft->cfg->drain_ms;
	live->shape = pc_shape(draft->cfg, type,
			       pc_wire_count(rec->text_len, rec->chunk));
	for (seq = 0; seq < pc_shape_pass(&live->shape); seq++) {
		fill(live, draft, seq);
		/* parity of a large record takes long */
		cond_resched();
	}
}

static void free_live(struct pc_live *live)
{
	unsigned int i;

	for (i = 0; i < live->voices; i++) {
		pc_burst_free(live->voice[i].burst);
		dev_put(live->voice[i].dev);
	}
	kfree(live);
}

static struct pc_live *prepare(enum pc_wire_type type, const char *reason,
			       const struct pc_kept *kept)
{
	size_t text = type == PC_WIRE_TEST ? pc_config()->kib * 1024 : 0;
	unsigned int armed = 0;
	struct pc_iface *iface;
	struct pc_draft *draft;
	struct pc_live *live;
	int err = 0;

	ASSERT_RTNL();
	pc_for_each_iface(iface)
		armed += pc_iface_armed(iface);
	live = kzalloc(struct_size(live, voice, armed), GFP_KERNEL);
	draft = pc_draft_alloc(text);
	if (!live || !draft) {
		kfree(live);
		pc_draft_free(draft);
		return ERR_PTR(-ENOMEM);
	}
	draft->kept = kept;

	pc_for_each_iface(iface) {
		if (!pc_iface_armed(iface))
			continue;
		pc_netpoll_keep(iface);
		if (!pc_iface_can_send(iface))
			continue;
		err = add_voice(live, iface, type);
		if (type == PC_WIRE_HELLO && !err)
			iface->greeted = true;
	}
	if (live->voices)
		compose(live, draft, type, reason);
	pc_for_each_iface(iface)
		iface->firing[PC_SLOT_LIVE] = NULL;
	pc_draft_free(draft);

	if (!live->voices) {
		kfree(live);
		return ERR_PTR(err ? err : -ENETDOWN);
	}
	return live;
}

/**
 * pc_live_prepare() - put a record together
 * @type: PC_WIRE_TEST (with the log's text), PC_WIRE_HELLO, PC_WIRE_BYE
 * @reason: what for; may be empty
 *
 * Sleeps for memory.  The caller holds RTNL, lets go of it, and then sends the
 * record with pc_live_send().
 *
 * Return: the record, -ENETDOWN where no interface can send, -ENOMEM
 */
struct pc_live *pc_live_prepare(enum pc_wire_type type, const char *reason)
{
	return prepare(type, reason, NULL);
}

/** pc_live_prepare_kept() - the same for what was kept of an earlier boot */
struct pc_live *pc_live_prepare_kept(const struct pc_kept *kept)
{
	return prepare(kept->type, "", kept);
}

/** pc_live_asked() - by what an answer to a record is known */
const struct pc_asked *pc_live_asked(const struct pc_live *live)
{
	return &live->asked;
}

/* Whether the device can take frames; nobody takes it down under RCU. */
static bool can_take(struct net_device *dev)
{
	return netif_running(dev) && netif_device_present(dev) &&
	       netif_carrier_ok(dev);
}

/*
 * Sends on the queues of a card, in the context and with the frame of a panic.
 */
static bool try_card(struct voice *voice, struct sk_buff *skb)
{
	unsigned long flags;
	bool done = false;

	/*
	 * In this order, so that what the driver leaves to a softirq, others'
	 * frames among it, runs as soon as softirqs are on again.
	 */
	local_bh_disable();
	local_irq_save(flags);
	rcu_read_lock();
	if (can_take(voice->dev)) {
		/* the driver gives up its reference, the burst keeps its own */
		skb_get(skb);
		done = pc_queue_send(voice->dev, &voice->burst->queue, skb);
		if (!done)
			kfree_skb(skb);
	}
	rcu_read_unlock();
	local_irq_restore(flags);
	local_bh_enable();
	return done;
}

/* Sends as any packet is sent; it counts as sent once the stack took it. */
static bool try_stack(const struct voice *voice, struct sk_buff *skb)
{
	struct sk_buff *clone;
	int err;

	if (!can_take(voice->dev))
		return false;
	clone = skb_clone(skb, GFP_KERNEL);
	if (!clone)
		return false;
	/* net_xmit_eval() is a macro that looks twice at what it is given */
	err = dev_queue_xmit(clone);
	return net_xmit_eval(err) == 0;
}

/* @patience_us: how long one device is waited for, in all */
static bool send_frame(struct voice *voice, struct sk_buff *skb,
		       unsigned int patience_us)
{
	struct pc_burst *burst = voice->burst;
	ktime_t began;

	while (!burst->stuck) {
		if (voice->alone ? try_card(voice, skb) : try_stack(voice, skb))
			return true;
		burst->stuck = burst->stalled >= patience_us ||
			       !can_take(voice->dev);
		if (burst->stuck)
			break;
		began = ktime_get();
		usleep_range(POLL_US, POLL_US + POLL_US / 2);
		burst->stalled += ktime_us_delta(ktime_get(), began);
	}
	return false;
}

/* Sends a datagram to all destinations; returns how many frames were taken. */
static int send_frames(struct voice *voice, unsigned int pass, unsigned int seq,
		       unsigned int patience_us)
{
	struct sk_buff *skb;
	unsigned int i;
	int sent = 0;

	for (i = 0; i < voice->ways; i++) {
		skb = pc_burst_skb(voice->burst, pass, seq, i);
		if (skb)
			sent += send_frame(voice, skb, patience_us);
	}
	return sent;
}

/* Whether the cards have let go of all frames, or never will. */
static bool drained(const struct pc_live *live)
{
	unsigned int i, n;

	for (i = 0; i < live->voices; i++) {
		const struct pc_burst *burst = live->voice[i].burst;

		if (!can_take(live->voice[i].dev))
			continue;
		for (n = 0; n < pc_shape_all(&burst->shape); n++)
			if (skb_shared(burst->skb[n]) ||
			    skb_cloned(burst->skb[n]))
				return false;
	}
	return true;
}

/* Returns how many frames were taken. */
static int send_all(struct pc_live *live, unsigned int patience_us)
{
	unsigned int pass, seq, i;
	int sent = 0;

	for (pass = 0; pass < live->shape.passes; pass++) {
		for (seq = 0; seq < pc_shape_pass(&live->shape); seq++) {
			for (i = 0; i < live->voices; i++)
				sent += send_frames(&live->voice[i], pass, seq,
						    patience_us);
			if (live->gap_us)
				usleep_range(live->gap_us, live->gap_us * 2);
		}
	}
	return sent;
}

/**
 * pc_live_send_within() - send a record and forget it
 * @live: from pc_live_prepare(); may be an error, which is returned
 * @ms: how long to wait for busy cards: half of it for all cards to take the
 *	frames, each having its share, and the rest to send them
 *
 * Return: how many frames were taken
 */
int pc_live_send_within(struct pc_live *live, unsigned int ms)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), ms);
	int sent;

	if (IS_ERR(live))
		return PTR_ERR(live);
	sent = send_all(live, ms * 1000 / 2 / live->voices);
	while (!drained(live) && ktime_before(ktime_get(), deadline))
		usleep_range(POLL_US, POLL_US + POLL_US / 2);
	free_live(live);
	return sent;
}

/**
 * pc_live_send() - send like pc_live_send_within(), in the time that a panic
 * may take; without RTNL
 * @live: from pc_live_prepare(); may be an error, which is returned
 */
int pc_live_send(struct pc_live *live)
{
	if (IS_ERR(live))
		return PTR_ERR(live);
	return pc_live_send_within(live, PC_STALL_MS + live->drain_ms);
}
