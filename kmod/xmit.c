// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the record of a crash on all armed interfaces.
 *
 * After a panic other CPUs have been stopped wherever they were, interrupts are
 * off, and the next thing that happens is a reboot.  So we try a transmit
 * queue, never wait for it, and free it by force only as the last resort.  We
 * poll a ring only when it has no room.  Before we return, the drivers get
 * drain_ms to send the frames: those still in a ring are lost when the machine
 * resets.
 *
 * netpoll_send_skb() is not used: after one jiffy it gives the frame to a
 * workqueue, which will never run, and says that all is well.
 */
#include <linux/delay.h>
#include <linux/netdevice.h>
#include <linux/nmi.h>

#include "compat/compat.h"
#include "driver.h"
#include "frame.h"
#include "iface.h"
#include "netpoll.h"
#include "queue.h"
#include "stack.h"
#include "where.h"
#include "xmit.h"

#define POLL_US		50
/* How long one frame may wait before its interface is given up. */
#define STUCK_US	100000
/*
 * When polling has not helped for so long, and each time after that, the
 * interrupt handler is tried.  To find it takes long where there are many CPUs.
 */
#define HANDLER_US	500

/**
 * struct sending - a record on its way
 * @draft: the record
 * @shape: how many frames it is
 * @slot: whose frames are used
 * @occupied: it is the turn of interfaces in whose driver a CPU was
 * @sent: frames that drivers have taken
 */
struct sending {
	struct pc_draft *draft;
	struct pc_shape shape;
	enum pc_slot slot;
	bool occupied;
	unsigned int sent;
};

/* The frames of an interface whose turn it is, NULL for none. */
static struct pc_burst *burst_of(const struct sending *sending,
				 const struct pc_iface *iface)
{
	struct pc_burst *burst = pc_iface_burst(iface, sending->slot);

	return burst && burst->occupied == sending->occupied ? burst : NULL;
}

static bool anybody(const struct sending *sending)
{
	struct pc_iface *iface;

	pc_for_each_iface(iface)
		if (burst_of(sending, iface))
			return true;
	return false;
}

/* One try, in the context that drivers know from netpoll. */
static bool try_once(const struct sending *sending, struct net_device *dev,
		     struct pc_burst *burst, struct sk_buff *skb)
{
	unsigned long flags;
	bool bh, done;

	/* the driver gives up its reference, the burst keeps its own */
	skb_get(skb);
	local_irq_save(flags);
	bh = compat_bh_off();
	if (sending->slot == PC_SLOT_PANIC)
		done = pc_stack_send(dev, &burst->queue, skb);
	else
		done = pc_queue_send(dev, &burst->queue, skb);
	compat_bh_on(bh, sending->slot == PC_SLOT_PANIC);
	local_irq_restore(flags);
	if (!done)
		kfree_skb(skb);
	return done;
}

/* Lets the driver clean its ring.  @waited: how long that did not help. */
static void let_work(const struct sending *sending, struct net_device *dev,
		     const struct pc_burst *burst, unsigned int waited)
{
	bool handler = sending->slot == PC_SLOT_PANIC && !burst->in_handler &&
		       waited && waited % HANDLER_US == 0;

	if (!burst->blind)
		pc_stack_poll(dev, handler);
}

/* Returns the microseconds that it took. */
static unsigned int pause(void)
{
	udelay(POLL_US);
	touch_nmi_watchdog();
	return POLL_US;
}

/*
 * The last resort, once for an interface: true if there is reason to go on
 * trying.
 */
static bool free_queues(const struct sending *sending, struct pc_iface *iface,
			struct pc_burst *burst)
{
	if (sending->slot != PC_SLOT_PANIC || burst->busted ||
	    !sending->draft->cfg->bust_locks)
		return false;
	burst->busted = true;
	return pc_stack_bust(iface->dev);
}

static void send_frame(struct sending *sending, struct pc_iface *iface,
		       struct pc_burst *burst, struct sk_buff *skb)
{
	unsigned int waited = 0;

	if (burst->stuck || !pc_iface_can_send(iface))
		return;

	while (!try_once(sending, iface->dev, burst, skb)) {
		unsigned int us;

		if (waited >= STUCK_US ||
		    burst->stalled >= PC_STALL_MS * 1000) {
			if (free_queues(sending, iface, burst)) {
				waited = 0;
				continue;
			}
			burst->stuck = true;
			return;
		}
		let_work(sending, iface->dev, burst, waited);
		us = pause();
		waited += us;
		burst->stalled += us;
	}
	sending->sent++;
}

static void gap(const struct sending *sending)
{
	unsigned int us = sending->draft->cfg->gap_us;

	if (us)
		udelay(us);
}

/* Waits, so that a disturbance is over before the next part leaves. */
static void spread(const struct sending *sending)
{
	unsigned int ms = sending->draft->cfg->spread_ms;

	while (ms--) {
		mdelay(1);
		touch_nmi_watchdog();
	}
}

/* Sends a datagram on every interface, bit for bit the same. */
static void send_everywhere(struct sending *sending, unsigned int pass,
			    unsigned int seq)
{
	struct pc_draft *draft = sending->draft;
	bool raw = draft->cfg->format == PC_FORMAT_RAW;
	size_t len = raw ? 0 : pc_record_datagram(draft, seq);
	struct pc_iface *iface;

	pc_for_each_iface(iface) {
		struct pc_burst *burst = burst_of(sending, iface);
		unsigned int i;

		for (i = 0; burst && i < burst->ways.n; i++) {
			const struct pc_way *way = &burst->ways.way[i];
			struct sk_buff *skb = pc_burst_skb(burst, pass, seq, i);

			if (!skb)
				break;
			if (raw)
				pc_frame_raw(skb, iface, way, &draft->rec);
			else
				pc_frame_v1(skb, iface, way, draft->cfg,
					    draft->datagram, len);
			send_frame(sending, iface, burst, skb);
		}
	}
	gap(sending);
}

/* Makes parity once all that it is made of was handed to the drivers. */
static void send_pass(struct sending *sending, unsigned int pass)
{
	unsigned int seq;

	if (pass)
		spread(sending);
	for (seq = 0; seq < pc_shape_pass(&sending->shape); seq++) {
		if (seq == sending->shape.source)
			spread(sending);
		send_everywhere(sending, pass, seq);
	}
}

/* Whether nothing waits for room on a device below. */
static bool flushed(const struct sending *sending, struct net_device *dev)
{
	return sending->slot != PC_SLOT_PANIC || pc_stack_flush(dev);
}

static bool drained(const struct pc_burst *burst)
{
	unsigned int i;

	for (i = 0; i < pc_shape_all(&burst->shape); i++)
		/* be2net sends a clone of what somebody else has, too */
		if (refcount_read(&burst->skb[i]->users) > 1 ||
		    skb_cloned(burst->skb[i]))
			return false;
	return true;
}

/*
 * Waits until the drivers have let go of the frames, at most drain_ms, which
 * passes for all interfaces at once.
 *
 * Some never let go of a frame before the next one: virtio without a NAPI for
 * what it has sent, hv_netvsc where nobody polls.  Others are not polled,
 * because they would free others' frames, too. They take all of the time, once
 * for each record; by then their frames have left.
 */
static void drain(struct sending *sending)
{
	unsigned int waited = 0, limit = sending->draft->cfg->drain_ms * 1000;
	struct pc_iface *iface;
	struct pc_burst *burst;
	bool busy, left;

	do {
		busy = false;
		pc_for_each_iface(iface) {
			burst = burst_of(sending, iface);
			if (!burst)
				continue;
			left = flushed(sending, iface->dev);
			if (left && drained(burst))
				continue;
			busy = true;
			/* a locked queue keeps pc_poll() from the others too */
			if (waited >= limit / 2)
				free_queues(sending, iface, burst);
			if (!left || !burst->frees)
				let_work(sending, iface->dev, burst, waited);
		}
		if (busy)
			waited += pause();
	} while (busy && waited < limit);
}

static unsigned int send_record(struct pc_draft *draft, enum pc_slot slot)
{
	const struct pc_wire_record *rec = &draft->rec;
	struct sending sending = {
		.draft = draft,
		.shape = pc_shape(draft->cfg, rec->type,
				  pc_wire_count(rec->text_len, rec->chunk)),
		.slot = slot,
	};
	int turn;

	/* whatever may still go wrong with a driver goes wrong at the end */
	for (turn = 0; turn < 2; turn++) {
		unsigned int pass;

		sending.occupied = turn;
		if (!anybody(&sending))
			continue;
		for (pass = 0; pass < sending.shape.passes; pass++)
			send_pass(&sending, pass);
		drain(&sending);
	}
	return sending.sent;
}

/* Notes the state of the interface before anything is done to any. */
static void look_at(struct net_device *dev, struct pc_burst *burst,
		    enum pc_slot slot)
{
	burst->frees = pc_stack_frees(dev);
	burst->blind = (burst->frees && pc_driver_freeing(slot)) ||
		       pc_driver_queueing(slot) || pc_stack_starved(dev, slot);
	/* the other CPUs go on after an oops */
	if (slot != PC_SLOT_PANIC)
		return;
	burst->occupied = pc_stack_occupied(dev);
	burst->in_handler = pc_stack_in_handler(dev, PC_SLOT_PANIC);
	burst->blind |= pc_where_stopped_by_nmi() && pc_stack_maps(dev);
}

/**
 * pc_xmit_last_words() - send a record from a kernel that has crashed
 * @draft: memory for the record
 * @slot: PC_SLOT_PANIC or PC_SLOT_OOPS
 * @type: its type
 * @reason: what happened
 *
 * Any context.  Takes at most PC_STALL_MS for each interface that is stuck,
 * twice drain_ms, the gaps and spread_ms, and the time that drivers take for
 * themselves.  Interfaces whose driver could wait for ever are left alone.
 *
 * Return: frames that drivers have taken
 */
unsigned int pc_xmit_last_words(struct pc_draft *draft, enum pc_slot slot,
				enum pc_wire_type type, const char *reason)
{
	const struct pc_ways *ways;
	struct pc_iface *iface;
	struct pc_burst *burst;
	unsigned long flags;
	unsigned int sent;
	bool bh;

	local_irq_save(flags);
	bh = compat_bh_off();
	rcu_read_lock();

	pc_where_note(slot);
	pc_for_each_iface(iface) {
		if (!pc_iface_armed(iface) || !pc_iface_can_send(iface) ||
		    pc_stack_trapped(iface->dev, slot))
			continue;
		ways = pc_iface_ways(iface);
		if (!ways || !ways->n)
			continue;
		if (slot == PC_SLOT_PANIC)
			pc_netpoll_keep(iface);
		burst = xchg(&iface->spare[slot], NULL);
		iface->firing[slot] = burst;
		if (!burst)
			continue;
		burst->ways = *ways;
		look_at(iface->dev, burst, slot);
	}
	sent = pc_record_compose(draft, slot, type, reason) ?
		send_record(draft, slot) : 0;

	rcu_read_unlock();
	compat_bh_on(bh, slot == PC_SLOT_PANIC);
	local_irq_restore(flags);
	return sent;
}
