// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that lie ready, empty, for one record on one interface.
 */
#include <linux/if_ether.h>
#include <linux/netdevice.h>
#include <linux/slab.h>

#include "burst.h"
#include "wire.h"

/*
 * Room for the largest frame, and for what the driver says that it puts in
 * front of it and behind it.  A driver that found too little room would have
 * to copy the frame, which takes memory and is forbidden while we hold a
 * reference.
 */
static struct sk_buff *frame_alloc(const struct net_device *dev)
{
	unsigned int headroom = LL_RESERVED_SPACE(dev) + NET_IP_ALIGN;
	struct sk_buff *skb;

	skb = alloc_skb(headroom + ETH_HLEN + PC_BURST_IP_UDP + PC_WIRE_HEADER +
			PC_WIRE_CHUNK + dev->needed_tailroom, GFP_KERNEL);
	if (skb)
		skb_reserve(skb, headroom);
	return skb;
}

/**
 * pc_burst_alloc() - frames for one record on one interface
 * @dev: where they will be sent
 * @frames: how many a pass has
 * @passes: how many passes there are
 *
 * Return: the frames, NULL where there is no memory
 */
struct pc_burst *pc_burst_alloc(const struct net_device *dev,
				unsigned int frames, unsigned int passes)
{
	unsigned int i, n = frames * passes;
	struct pc_burst *burst;

	burst = kvzalloc(struct_size(burst, skb, n), GFP_KERNEL);
	if (!burst)
		return NULL;
	burst->frames = frames;
	burst->passes = passes;

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
	for (i = 0; i < burst->frames * burst->passes; i++)
		dev_kfree_skb_any(burst->skb[i]);
	kvfree(burst);
}
