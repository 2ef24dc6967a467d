/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_IFACE_H
#define PANICAST_IFACE_H

#include <linux/list.h>
#include <linux/netdevice.h>
#include <linux/netpoll.h>

#include "burst.h"

/* What is smaller holds no metadata; each IPv4 packet of this size passes. */
#define PC_SMALLEST_MTU	576

/* Who sends.  Each slot has its own frames, so that none uses up another's. */
enum pc_slot {
	PC_SLOT_PANIC,
	PC_SLOT_OOPS,
	PC_SLOT_LIVE,		/* test, hello, bye: while RTNL is held */
	PC_SLOTS
};

/**
 * struct pc_iface - an interface that the administrator wants to send on
 * @node: in pc_ifaces; changed under RTNL, followed under RCU
 * @dev: the device, held
 * @np: netpoll on @dev; NULL while it is not armed
 * @info: what all users of netpoll on @dev share, see netpoll.c
 * @why: what keeps it from being armed, in words; NULL when armed
 * @greeted: said hello since it was armed
 * @ways: how destinations are reached by it, see nexthop.c; NULL while it is not
 *	armed
 * @spare: frames that wait for PC_SLOT_PANIC and PC_SLOT_OOPS; whoever sends
 *	them takes them away with xchg()
 * @firing: frames that a slot is sending or has sent
 *
 * All fields but @spare and @firing are protected by RTNL and read in a panic.
 */
struct pc_iface {
	struct list_head node;
	struct net_device *dev;
	struct netpoll *np;
	struct netpoll_info *info;
	const char *why;
	bool greeted;
	struct pc_ways __rcu *ways;
	struct pc_burst *spare[PC_SLOTS];
	struct pc_burst *firing[PC_SLOTS];
};

extern struct list_head pc_ifaces;

/* Under RTNL, rcu_read_lock(), or in a panic. */
#define pc_for_each_iface(iface)					\
	list_for_each_entry_rcu(iface, &pc_ifaces, node, true)

static inline bool pc_iface_armed(const struct pc_iface *iface)
{
	return READ_ONCE(iface->np);
}

/* The frames that a slot is sending on the interface, NULL for none. */
static inline struct pc_burst *pc_iface_burst(const struct pc_iface *iface,
					      enum pc_slot slot)
{
	return pc_iface_armed(iface) ? iface->firing[slot] : NULL;
}

const struct pc_ways *pc_iface_ways(const struct pc_iface *iface);
struct pc_iface *pc_iface_find(const struct net_device *dev);
struct pc_iface *pc_iface_add(struct net_device *dev);
void pc_iface_del(struct pc_iface *iface);
int pc_iface_arm(struct pc_iface *iface);
void pc_iface_disarm(struct pc_iface *iface, const char *why);
int pc_iface_stock(struct pc_iface *iface);
bool pc_iface_can_send(const struct pc_iface *iface);
__be32 pc_iface_address(const struct pc_iface *iface);

unsigned int pc_iface_chunk(const struct pc_iface *iface,
			    const struct pc_config *cfg);

#endif
