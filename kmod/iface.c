// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interfaces, and how they are armed.
 */
#include <linux/inetdevice.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "config.h"
#include "iface.h"
#include "netpoll.h"
#include "nexthop.h"
#include "wire.h"

LIST_HEAD(pc_ifaces);

/**
 * pc_iface_chunk() - payload bytes that a frame on this interface can have
 * @iface: the interface
 * @cfg: the record's configuration; another may be in force by now
 */
unsigned int pc_iface_chunk(const struct pc_iface *iface,
			    const struct pc_config *cfg)
{
	unsigned int headers = PC_WIRE_HEADER + sizeof(struct udphdr) +
			       (pc_config_ipv6(cfg) ? sizeof(struct ipv6hdr) :
						      sizeof(struct iphdr));
	unsigned int tag = cfg->sealed ? PC_SEAL_TAG : 0;
	unsigned int mtu = min_t(unsigned int, READ_ONCE(iface->dev->mtu),
				 ETH_DATA_LEN);
	const struct pc_ways *ways;
	unsigned int i;

	rcu_read_lock();
	ways = pc_iface_ways(iface);
	for (i = 0; ways && i < ways->n; i++)
		if (ways->way[i].mtu)
			mtu = min(mtu, max_t(unsigned int, ways->way[i].mtu,
					     PC_SMALLEST_MTU));
	rcu_read_unlock();
	return mtu - headers - tag;
}

static int stock(struct pc_iface *iface, const struct pc_shape *shape)
{
	const struct pc_config *cfg = pc_config();
	struct pc_burst *burst;
	int slot;

	for (slot = PC_SLOT_PANIC; slot <= PC_SLOT_OOPS; slot++) {
		bool wanted = slot == PC_SLOT_PANIC ||
			      cfg->reasons & PC_REASON_SURVIVED;

		burst = READ_ONCE(iface->spare[slot]);
		if (wanted && burst &&
		    !memcmp(&burst->shape, shape, sizeof(*shape)))
			continue;

		burst = NULL;
		if (wanted) {
			burst = pc_burst_alloc(iface->dev, shape);
			if (!burst)
				return -ENOMEM;
		}
		/* a sender that was faster has taken the old ones away */
		pc_burst_free(xchg(&iface->spare[slot], burst));
	}
	return 0;
}

/**
 * pc_iface_stock() - make the frames that the configuration asks for
 * @iface: an interface that is armed, or will be; the caller holds RTNL
 *
 * Replaces frames of the wrong size, and those that an oops has used. A record
 * is cut alike for all interfaces, by the smallest MTU among them.  So all have
 * the same number of frames, and a new interface may change it.
 *
 * Return: 0, -ENOMEM with the old frames still in place
 */
int pc_iface_stock(struct pc_iface *iface)
{
	const struct pc_config *cfg = pc_config();
	unsigned int chunk = pc_iface_chunk(iface, pc_config());
	struct pc_iface *other;
	struct pc_shape shape;

	pc_for_each_iface(other)
		if (pc_iface_armed(other))
			chunk = min(chunk, pc_iface_chunk(other, pc_config()));
	shape = pc_shape(cfg, PC_WIRE_PANIC,
			 min_t(unsigned int, PC_WIRE_MAX_FRAMES,
			       pc_wire_count(cfg->kib * 1024, chunk)));

	pc_for_each_iface(other)
		if (other != iface && pc_iface_armed(other) &&
		    stock(other, &shape))
			netdev_warn(other->dev,
				    "panicast: no memory for frames of the new size, the old ones stay\n");
	return stock(iface, &shape);
}

/**
 * pc_iface_arm() - prepare an interface to send in a panic
 * @iface: an interface that is up; the caller holds RTNL
 *
 * Return: 0, or an error that @iface->why explains
 */
int pc_iface_arm(struct pc_iface *iface)
{
	struct netpoll *np;
	int err;

	err = pc_netpoll_take(iface, &np);
	if (err)
		return err;

	err = pc_nexthop_arm(iface) ?: pc_iface_stock(iface);
	if (err) {
		pc_nexthop_disarm(iface);
		pc_netpoll_give(iface, np);
		iface->why = "no memory";
		return err;
	}

	iface->why = NULL;
	iface->greeted = false;
	/* whoever sees it armed sees the frames too */
	smp_store_release(&iface->np, np);
	return 0;
}

/**
 * pc_iface_disarm() - undo pc_iface_arm()
 * @iface: armed or not; the caller holds RTNL
 * @why: what the administrator is told of it
 */
void pc_iface_disarm(struct pc_iface *iface, const char *why)
{
	struct netpoll *np = iface->np;
	int slot;

	iface->why = why;
	if (!np)
		return;
	WRITE_ONCE(iface->np, NULL);
	/* waits for RCU readers: an oops may be sending */
	pc_netpoll_give(iface, np);
	pc_nexthop_disarm(iface);

	for (slot = 0; slot < PC_SLOTS; slot++) {
		pc_burst_free(xchg(&iface->spare[slot], NULL));
		pc_burst_free(xchg(&iface->firing[slot], NULL));
	}
}

/**
 * pc_iface_ways() - how destinations are reached by an interface
 * @iface: it; under RCU, under RTNL or in a panic
 */
const struct pc_ways *pc_iface_ways(const struct pc_iface *iface)
{
	return rcu_dereference_rtnl(iface->ways);
}

/** pc_iface_find() - the interface of a device; the caller holds RTNL */
struct pc_iface *pc_iface_find(const struct net_device *dev)
{
	struct pc_iface *iface;

	list_for_each_entry(iface, &pc_ifaces, node)
		if (iface->dev == dev)
			return iface;
	return NULL;
}

/** pc_iface_add() - add a wanted device; the caller holds RTNL */
struct pc_iface *pc_iface_add(struct net_device *dev)
{
	struct pc_iface *iface = kzalloc(sizeof(*iface), GFP_KERNEL);

	if (!iface)
		return NULL;
	dev_hold(dev);
	iface->dev = dev;
	iface->why = "down";
	list_add_tail_rcu(&iface->node, &pc_ifaces);
	return iface;
}

/** pc_iface_del() - let go of a device; the caller holds RTNL */
void pc_iface_del(struct pc_iface *iface)
{
	pc_iface_disarm(iface, NULL);
	list_del_rcu(&iface->node);
	/* unlike synchronize_rcu() it hurries, for RTNL's sake */
	synchronize_net();
	dev_put(iface->dev);
	kfree(iface);
}

/** pc_iface_can_send() - up, present, with a link */
bool pc_iface_can_send(const struct pc_iface *iface)
{
	return netif_running(iface->dev) && netif_device_present(iface->dev) &&
	       netif_carrier_ok(iface->dev);
}

static __be32 first_address(const struct net_device *dev)
{
	const struct in_device *in_dev = __in_dev_get_rcu(dev);
	const struct in_ifaddr *ifa;

	ifa = in_dev ? rcu_dereference(in_dev->ifa_list) : NULL;
	return ifa ? ifa->ifa_local : 0;
}

/**
 * pc_iface_address() - the IPv4 address to send from, 0 where there is none
 * @iface: the interface
 *
 * A port of a bond or bridge speaks for its master.
 */
__be32 pc_iface_address(const struct pc_iface *iface)
{
	struct net_device *master;
	__be32 address;

	rcu_read_lock();
	address = first_address(iface->dev);
	if (!address) {
		master = netdev_master_upper_dev_get_rcu(iface->dev);
		if (master)
			address = first_address(master);
	}
	rcu_read_unlock();
	return address;
}
