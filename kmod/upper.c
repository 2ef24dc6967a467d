// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ports of bonds, teams, bridges and failover pairs, while the machine is
 * well.
 *
 * A switch sends a machine's traffic to the port where it last heard that MAC
 * address.  If a port speaks on which the master does not send, it takes the
 * traffic of the whole bond away from the port that works.  So a port says only
 * what the master would send there.  After a panic that does not matter: nobody
 * waits for an answer, and any port may be the one that is heard.
 */
#include <linux/if_bonding.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/string.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>

#include "upper.h"

/* What a driver has told, where that went well: a number of one byte. */
static int told(struct sk_buff *skb, int err, int attribute)
{
	const struct nlattr *found = NULL;

	if (!err)
		found = nla_find((struct nlattr *)skb->data, skb->len,
				 attribute);
	err = found ? nla_get_u8(found) : -ENODATA;
	nlmsg_free(skb);
	return err;
}

/*
 * What a master tells user space of one of its ports: its own state is private,
 * this isn't.
 */
static int port_state(const struct net_device *master,
		      const struct net_device *port, int attribute)
{
	const struct rtnl_link_ops *ops = master->rtnl_link_ops;
	struct sk_buff *skb;

	if (!ops || !ops->fill_slave_info)
		return -EOPNOTSUPP;
	skb = nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	return told(skb, ops->fill_slave_info(skb, master, port), attribute);
}

/* The same of itself. */
static int bond_mode(const struct net_device *bond)
{
	const struct rtnl_link_ops *ops = bond->rtnl_link_ops;
	struct sk_buff *skb;

	if (!ops || !ops->fill_info)
		return -EOPNOTSUPP;
	skb = nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	return told(skb, ops->fill_info(skb, bond), IFLA_BOND_MODE);
}

/* HSR and PRP send on both ports, each with a tag of their own. */
static bool is_redundant(const struct net_device *dev)
{
	return dev->rtnl_link_ops && !strcmp(dev->rtnl_link_ops->kind, "hsr");
}

/* Of all that is above a port, the one that decides what is sent there. */
static struct net_device *master_of(struct net_device *port)
{
	struct net_device *upper;
	struct list_head *iter;

	netdev_for_each_upper_dev_rcu(port, upper, iter)
		/* the kernel does not call it a master */
		if (is_redundant(upper))
			return upper;
	return netdev_master_upper_dev_get(port);
}

/* Masters that take a packet and have the right port send it. */
static bool sends_itself(const struct net_device *master)
{
	/* netvsc is no failover device to the kernel, but a card, and has none
	 * but its VF below
	 */
	return netif_is_team_master(master) || netif_is_failover(master) ||
	       is_redundant(master) || master->dev.parent;
}

/**
 * pc_upper_voice() - which device sends a live record of an interface
 * @dev: the interface; the caller holds RTNL
 * @group: set to the one of which all ports together say a record once
 *
 * Return: the device itself, a master that sends for it, or NULL if it must be
 * silent: a standby port, one that is blocked against loops, and a port of a
 * master that does not say where it would send (Open vSwitch)
 */
struct net_device *pc_upper_voice(struct net_device *dev,
				  struct net_device **group)
{
	struct net_device *voice = dev, *port = dev, *master;

	ASSERT_RTNL();
	*group = dev;
	for (; (master = master_of(port)); port = master) {
		/* VRF: routes, and its ports are interfaces as any other */
		if (netif_is_l3_master(master))
			break;
		if (netif_is_bridge_master(master)) {
			/*
			 * sent on the bridge itself, it would reach guests and
			 * containers, too
			 */
			if (port_state(master, port, IFLA_BRPORT_STATE) !=
			    BR_STATE_FORWARDING)
				return NULL;
			break;
		}
		*group = master;
		if (sends_itself(master))
			voice = master;
		else if (!netif_is_bond_master(master) ||
			 port_state(master, port, IFLA_BOND_SLAVE_STATE) != 0)
			return NULL;
	}
	return voice;
}

/**
 * pc_upper_waits() - whether a bond may wait before it hands a frame on
 * @dev: any device; the caller holds RTNL
 *
 * Return: true for balance-tlb and balance-alb, which take a lock to choose a
 * port, and for broadcast, which clones the frame; false for what is no bond
 */
bool pc_upper_waits(const struct net_device *dev)
{
	if (!netif_is_bond_master(dev))
		return false;
	switch (bond_mode(dev)) {
	case BOND_MODE_ROUNDROBIN:
	case BOND_MODE_ACTIVEBACKUP:
	case BOND_MODE_XOR:
	case BOND_MODE_8023AD:
		return false;
	}
	return true;
}

/**
 * pc_upper_reaches() - whether what one device sends leaves by another
 * @dev: the one below
 * @to: the one above, or the same; the caller holds RTNL
 * @proto: set to the kind of the VLAN tag that is put on between them
 * @id: set to its number
 *
 * Return: false also if two tags are put on
 */
bool pc_upper_reaches(struct net_device *dev, const struct net_device *to,
		      __be16 *proto, u16 *id)
{
	struct net_device *upper;
	struct list_head *iter;

	if (dev == to)
		return true;
	netdev_for_each_upper_dev_rcu(dev, upper, iter) {
		if (!pc_upper_reaches(upper, to, proto, id))
			continue;
		if (!is_vlan_dev(upper))
			return true;
		if (*proto)
			return false;
		*proto = vlan_dev_vlan_proto(upper);
		*id = vlan_dev_vlan_id(upper);
		return true;
	}
	return false;
}
