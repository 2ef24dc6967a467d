/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_NETPOLL_H
#define PANICAST_NETPOLL_H

#include "iface.h"

int pc_netpoll_take(struct pc_iface *iface, struct netpoll **np);
void pc_netpoll_keep(struct pc_iface *iface);
void pc_netpoll_give(struct pc_iface *iface, struct netpoll *np);

#endif
