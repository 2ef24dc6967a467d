/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_BURST_H
#define PANICAST_BURST_H

#include <linux/ip.h>
#include <linux/skbuff.h>
#include <linux/udp.h>

#include "config.h"
#include "wire.h"

/* Bytes between the Ethernet header and the v1 header. */
#define PC_BURST_IP_UDP	(sizeof(struct iphdr) + sizeof(struct udphdr))

/**
 * struct pc_shape - how many frames a record is
 * @source: those that hold it
 * @parity: those that restore others, which follow in each pass
 * @passes: how often all of them are sent
 */
struct pc_shape {
	unsigned int source;
	unsigned int parity;
	unsigned int passes;
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
	struct sk_buff *skb[];
};

/* Frames of one pass. */
static inline unsigned int pc_shape_pass(const struct pc_shape *shape)
{
	return shape->source + shape->parity;
}

/* Frames of all passes. */
static inline unsigned int pc_shape_all(const struct pc_shape *shape)
{
	return pc_shape_pass(shape) * shape->passes;
}

struct pc_shape pc_shape(const struct pc_config *cfg, enum pc_wire_type type,
			 unsigned int count);
struct pc_burst *pc_burst_alloc(const struct net_device *dev,
				const struct pc_shape *shape);
void pc_burst_free(struct pc_burst *burst);

#endif
