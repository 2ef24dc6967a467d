/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_BURST_H
#define PANICAST_BURST_H

#include <linux/ip.h>
#include <linux/skbuff.h>
#include <linux/udp.h>

/* Bytes between the Ethernet header and the v1 header. */
#define PC_BURST_IP_UDP	(sizeof(struct iphdr) + sizeof(struct udphdr))

/**
 * struct pc_burst - frames for one record on one interface
 * @frames: frames of one pass
 * @passes: how often the record is sent
 * @queue: transmit queue that took the last frame
 * @locked: the driver was stopped with a lock of its own held, for which it
 *	would wait if its transmit lock were taken away
 * @handled: a CPU is in the device's interrupt handler
 * @busted: its transmit locks have been taken away from their holders
 * @stuck: the interface took no frame for too long and is left alone
 * @skb: @frames * @passes buffers, to each of which the burst holds a
 *	reference until it is freed; a driver holds a second one while it sends
 */
struct pc_burst {
	unsigned int frames;
	unsigned int passes;
	unsigned int queue;
	bool locked;
	bool handled;
	bool busted;
	bool stuck;
	struct sk_buff *skb[];
};

struct pc_burst *pc_burst_alloc(const struct net_device *dev,
				unsigned int frames, unsigned int passes);
void pc_burst_free(struct pc_burst *burst);

#endif
