/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_NEXTHOP_H
#define PANICAST_NEXTHOP_H

#include "config.h"
#include "iface.h"

int pc_nexthop_init(void);
void pc_nexthop_exit(void);
void pc_nexthop_look(void);
void pc_nexthop_look_soon(void);
int pc_nexthop_arm(struct pc_iface *iface);
void pc_nexthop_disarm(struct pc_iface *iface);
void pc_nexthop_unresolved(char *buf, size_t size);
int pc_nexthop_show(char *buf);

#endif
