/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_DRIVER_H
#define PANICAST_DRIVER_H

#include <linux/netdevice.h>

#include "iface.h"

bool pc_driver_occupied(struct net_device *dev);
bool pc_driver_trapped(struct net_device *dev, enum pc_slot slot);
bool pc_driver_in_handler(struct net_device *dev, enum pc_slot slot);
bool pc_driver_maps(struct net_device *dev);
bool pc_driver_frees(struct net_device *dev);
bool pc_driver_freeing(enum pc_slot slot);
bool pc_driver_starved(struct net_device *dev, enum pc_slot slot);
bool pc_driver_queueing(enum pc_slot slot);

#endif
