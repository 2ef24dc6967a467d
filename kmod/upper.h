/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_UPPER_H
#define PANICAST_UPPER_H

#include <linux/netdevice.h>

bool pc_upper_waits(const struct net_device *dev);
bool pc_upper_reaches(struct net_device *dev, const struct net_device *to,
		      __be16 *proto, u16 *id);
struct net_device *pc_upper_voice(struct net_device *dev,
				  struct net_device **group);

#endif
