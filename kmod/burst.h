/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_BURST_H
#define PANICAST_BURST_H

#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/udp.h>

#include "config.h"
#include "wire.h"

/* At most so many bytes lie before the v1 header. */
#define PC_BURST_HEADERS						\
	(VLAN_ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct udphdr))

/**
 * struct pc_shape - how many frames a record has
 * @source: those that hold it
 * @parity: those that restore others, which follow in each pass
 * @passes: how often all of them are sent
 * @dests: and to how many at most; each has frames of its own
 */
struct pc_shape {
	unsigned int source;
	unsigned int parity;
	unsigned int passes;
	unsigned int dests;
};

/**
 * struct pc_way - how a destination is reached by an interface
 * @dest: the destination
 * @source: address to send from; of IPv4 none: the interface's own
 * @mac: whose Ethernet address the frames carry
 * @vlan_proto: of the tag that they carry, 0 for none
 * @vlan_id: its number
 * @mtu: the largest packet that the kernel knows to pass on the way, 0 unknown
 */
struct pc_way {
	struct pc_dest dest;
	union pc_ip source;
	u8 mac[ETH_ALEN];
	__be16 vlan_proto;
	u16 vlan_id;
	unsigned int mtu;
};

/* Those by one interface.  Never changed in place. */
struct pc_ways {
	struct rcu_head rcu;
	unsigned int n;
	struct pc_way way[PC_DESTS];
};

/**
 * struct pc_burst - frames for one record on one interface
 * @shape: what they are for
 * @queue: transmit queue that took the last frame
 * @stalled: microseconds for which the interface has been waited for
 * @occupied: a CPU was in its driver, so it sends after all that nobody was in
 * @blind: it is not polled, for the locks that this takes cannot be tried
 * @frees: it is polled only where it takes no more frames, for the same reason
 * @in_handler: somebody may be in its interrupt handler
 * @busted: its transmit locks have been taken away from their holders
 * @stuck: the interface took no frame for too long and is left alone
 * @ways: to whom they are sent, as it was when they were taken to be
 * @skb: buffers for all of @shape, to each of which the burst holds a
 *	reference until it is freed; a driver holds a second one while it sends
 */
struct pc_burst {
	struct pc_shape shape;
	unsigned int queue;
	unsigned int stalled;
	bool occupied;
	bool blind;
	bool frees;
	bool in_handler;
	bool busted;
	bool stuck;
	struct pc_ways ways;
	struct sk_buff *skb[];
};

/* Frames of one pass. */
static inline unsigned int pc_shape_pass(const struct pc_shape *shape)
{
	return shape->source + shape->parity;
}

/* Frames of all passes to all destinations. */
static inline unsigned int pc_shape_all(const struct pc_shape *shape)
{
	return pc_shape_pass(shape) * shape->passes * shape->dests;
}

/*
 * The frame for a datagram and one of the destinations, NULL where none lies
 * there for it.
 */
static inline struct sk_buff *pc_burst_skb(const struct pc_burst *burst,
					   unsigned int pass, unsigned int seq,
					   unsigned int dest)
{
	const struct pc_shape *shape = &burst->shape;

	if (pass >= shape->passes || seq >= pc_shape_pass(shape) ||
	    dest >= shape->dests)
		return NULL;
	return burst->skb[(pass * pc_shape_pass(shape) + seq) * shape->dests +
			  dest];
}

struct pc_shape pc_shape(const struct pc_config *cfg, enum pc_wire_type type,
			 unsigned int count);
struct pc_burst *pc_burst_alloc(const struct net_device *dev,
				const struct pc_shape *shape);
void pc_burst_free(struct pc_burst *burst);

#endif
