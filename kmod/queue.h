/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_QUEUE_H
#define PANICAST_QUEUE_H

#include <linux/netdevice.h>

bool pc_queue_send(struct net_device *dev, unsigned int *first,
		   struct sk_buff *skb);

#endif
