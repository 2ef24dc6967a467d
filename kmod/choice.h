/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_CHOICE_H
#define PANICAST_CHOICE_H

#include <linux/netdevice.h>

bool pc_choice_concerns(const struct net_device *dev);
bool pc_choice_possible(struct net_device *dev);
const char *pc_choice_refusal(struct net_device *dev, bool followed);

#endif
