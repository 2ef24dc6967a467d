/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_POLL_H
#define PANICAST_POLL_H

#include <linux/netdevice.h>

void pc_poll(struct net_device *dev, bool handler);

#endif
