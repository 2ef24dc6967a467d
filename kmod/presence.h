/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_PRESENCE_H
#define PANICAST_PRESENCE_H

struct net_device;

void pc_presence_greet(void);
void pc_presence_going_down(const struct net_device *dev);
int pc_presence_init(void);
void pc_presence_exit(void);

#endif
