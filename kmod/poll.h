/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_POLL_H
#define PANICAST_POLL_H

#include <linux/types.h>

struct net_device;

bool pc_poll_prepare(struct net_device *dev);
bool pc_poll_handled(struct net_device *dev);
void pc_poll(struct net_device *dev, bool handled, bool alone);

#endif
