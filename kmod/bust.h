/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_BUST_H
#define PANICAST_BUST_H

#include <linux/types.h>

struct net_device;

bool pc_bust(struct net_device *dev);

#endif
