/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_STACK_H
#define PANICAST_STACK_H

#include <linux/netdevice.h>

#include "iface.h"

bool pc_stack_send(struct net_device *dev, unsigned int *first,
		   struct sk_buff *skb);
bool pc_stack_flush(struct net_device *dev);
bool pc_stack_occupied(struct net_device *dev);
bool pc_stack_trapped(struct net_device *dev, enum pc_slot slot);
bool pc_stack_in_handler(struct net_device *dev, enum pc_slot slot);
bool pc_stack_maps(struct net_device *dev);
bool pc_stack_frees(struct net_device *dev);
void pc_stack_poll(struct net_device *dev, bool handler);
bool pc_stack_starved(struct net_device *dev, enum pc_slot slot);
bool pc_stack_bust(struct net_device *dev);

#endif
