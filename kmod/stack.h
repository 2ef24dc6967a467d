/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_STACK_H
#define PANICAST_STACK_H

#include <linux/netdevice.h>

bool pc_stack_prepare(struct net_device *dev);
bool pc_stack_send(struct net_device *dev, unsigned int *first,
		   struct sk_buff *skb);
bool pc_stack_flush(struct net_device *dev);
bool pc_stack_handled(struct net_device *dev);
void pc_stack_poll(struct net_device *dev, bool handled, bool alone);
bool pc_stack_bust(struct net_device *dev);

#endif
