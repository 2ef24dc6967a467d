// SPDX-License-Identifier: GPL-2.0-only
/*
 * The empty frames that are ready for one record on one interface.
 */
#include <linux/if_ether.h>
#include <linux/netdevice.h>
#include <linux/slab.h>

#include "burst.h"
#include "parity.h"

/**
 * pc_shape() - how many frames a record is, or may become
 * @cfg: the configuration
 * @type: the record's type
 * @count: frames that hold its metadata and text, in format v1
 *
 * A record without parity is sent once more instead, if parity is wanted.
 */
struct pc_shape pc_shape(const struct pc_config *cfg, enum pc_wire_type type,
			 unsigned int count)
{
	bool raw = cfg->format == PC_FORMAT_RAW;
	struct pc_shape shape = {
		.source = raw ? 1 : count,
		.passes = cfg->repeat,
		.dests = cfg->dests,
	};

	if (raw || type == PC_WIRE_HELLO || type == PC_WIRE_BYE)
		shape.passes += !!cfg->parity;
	else
		shape.parity = pc_parity_count(count, cfg->parity);
	return shape;
}

/*
 * Room for the largest frame, and for what the driver puts in front of it and
 * behind it, as far as it says so: macb adds a checksum without saying it.  A
 * driver that found too little room would have to copy the frame, which takes
 * memory and is forbidden while we hold a reference.
 */
static struct sk_buff *frame_alloc(const struct net_device *dev)
{
	unsigned int headroom = LL_RESERVED_SPACE(dev) + NET_IP_ALIGN;
	struct sk_buff *skb;

	skb = alloc_skb(headroom + PC_BURST_HEADERS + PC_WIRE_HEADER +
			PC_WIRE_CHUNK + ETH_FCS_LEN + dev->needed_tailroom,
			GFP_KERNEL);
	if (skb)
		skb_reserve(skb, headroom);
	return skb;
}

/**
 * pc_burst_alloc() - frames for one record on one interface
 * @dev: where they will be sent
 * @shape: how many
 *
 * Return: the frames, or NULL if there is no memory
 */
struct pc_burst *pc_burst_alloc(const struct net_device *dev,
				const struct pc_shape *shape)
{
	unsigned int i, n = pc_shape_all(shape);
	struct pc_burst *burst;

	burst = kvzalloc(struct_size(burst, skb, n), GFP_KERNEL);
	if (!burst)
		return NULL;
	burst->shape = *shape;

	for (i = 0; i < n; i++) {
		burst->skb[i] = frame_alloc(dev);
		if (!burst->skb[i]) {
			pc_burst_free(burst);
			return NULL;
		}
	}
	return burst;
}

/** pc_burst_free() - give up the burst's references; NULL is fine */
void pc_burst_free(struct pc_burst *burst)
{
	unsigned int i;

	if (!burst)
		return;
	for (i = 0; i < pc_shape_all(&burst->shape); i++)
		dev_kfree_skb_any(burst->skb[i]);
	kvfree(burst);
}
