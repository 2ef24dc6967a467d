// SPDX-License-Identifier: GPL-2.0-only
/*
 * Follows the devices as they come, go and change, and keeps the wanted ones
 * armed.
 */
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/net_namespace.h>

#include "choice.h"
#include "iface.h"
#include "netdev.h"
#include "nexthop.h"
#include "presence.h"

/* Whether the notifiers follow what happens; under RTNL. */
static bool live;

/* Brings what we hold of a device up to date.  Under RTNL. */
static void follow(struct net_device *dev)
{
	struct pc_iface *iface = pc_iface_find(dev);
	const char *refusal;

	/* a master reports late that it let go of a port which is going away */
	if (dev->reg_state != NETREG_REGISTERED)
		return;

	refusal = pc_choice_refusal(dev, iface);
	if (refusal) {
		if (iface) {
			netdev_info(dev, "panicast: no longer armed: %s\n",
				    refusal);
			pc_iface_del(iface);
		}
		return;
	}
	if (!iface)
		iface = pc_iface_add(dev);
	if (!iface)
		return;

	if (!netif_running(dev)) {
		pc_iface_disarm(iface, "down");
	} else if (dev->mtu < PC_SMALLEST_MTU) {
		pc_iface_disarm(iface, "its MTU is too small");
		netdev_warn(dev, "panicast: not armed: %s\n", iface->why);
	} else if (iface->np) {
		if (pc_iface_stock(iface))
			netdev_warn(dev,
				    "panicast: no memory for frames of the new size, the old ones stay\n");
	} else if (pc_iface_arm(iface)) {
		netdev_warn(dev, "panicast: not armed: %s\n", iface->why);
	} else {
		netdev_info(dev, "panicast: armed\n");
	}
	if (iface->np && !iface->greeted)
		pc_presence_greet();
}

static int follow_lower(struct net_device *dev, struct netdev_nested_priv *priv)
{
	follow(dev);
	return 0;
}

/* What is above an interface decides whether it is chosen. */
static void follow_all(struct net_device *dev)
{
	struct netdev_nested_priv priv = {};

	follow(dev);
	netdev_walk_all_lower_dev(dev, follow_lower, &priv);
	pc_nexthop_look_soon();
}

/*
 * A device that goes to another namespace is unregistered here and registered
 * there, under one RTNL.
 */
static bool moves(const struct net_device *dev)
{
	return live && dev->reg_state == NETREG_REGISTERED;
}

/* What an interface has below it says whether it can send in a panic. */
static void follow_above(struct net_device *dev)
{
	struct net_device *upper;
	struct list_head *iter;

	follow(dev);
	netdev_for_each_upper_dev_rcu(dev, upper, iter)
		follow_above(upper);
}

static void rearm(struct work_struct *work)
{
	pc_netdev_config_changed();
}

static DECLARE_WORK(rearm_work, rearm);

static int takes_ports(struct net_device *dev, struct netdev_nested_priv *priv)
{
	return !!dev->netdev_ops->ndo_add_slave;
}

/*
 * A master that has netpoll takes no port that can't do it, such as a newer
 * kernel's veth.  Nobody says which master a device is about to join: all of
 * those that we armed let go.  Those that didn't get it are armed again, when
 * the holder of RTNL is done.
 */
static void make_room(const struct net_device *dev)
{
	struct netdev_nested_priv priv = {};
	struct pc_iface *iface;

	if (!(dev->priv_flags & IFF_DISABLE_NETPOLL))
		return;
	list_for_each_entry(iface, &pc_ifaces, node) {
		if (!iface->np || !(takes_ports(iface->dev, &priv) ||
				    netdev_walk_all_lower_dev(iface->dev,
							      takes_ports,
							      &priv)))
			continue;
		pc_iface_disarm(iface, "an interface joins it, or another");
		schedule_work(&rearm_work);
	}
}

static int netdev_event(struct notifier_block *nb, unsigned long event,
			void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	const struct netdev_notifier_changeupper_info *changed;
	struct pc_iface *iface;

	switch (event) {
	case NETDEV_REGISTER:
	case NETDEV_UP:
	case NETDEV_CHANGENAME:
	case NETDEV_CHANGEMTU:
		follow(dev);
		break;
	case NETDEV_JOIN:
		make_room(dev);
		break;
	case NETDEV_CHANGEUPPER:
		follow_all(dev);
		changed = ptr;
		follow_above(changed->upper_dev);
		break;
	case NETDEV_CHANGE:
		/* a link has come up, perhaps for the first time since arming */
		iface = pc_iface_find(dev);
		if (iface && iface->np && !iface->greeted)
			pc_presence_greet();
		break;
	case NETDEV_GOING_DOWN:
		pc_presence_going_down(dev);
		fallthrough;
	case NETDEV_DOWN:
		iface = pc_iface_find(dev);
		if (iface)
			pc_iface_disarm(iface, "down");
		break;
	case NETDEV_UNREGISTER:
		iface = pc_iface_find(dev);
		if (iface && moves(dev))
			pc_iface_disarm(iface, "down");
		else if (iface)
			pc_iface_del(iface);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block netdev_nb = {
	.notifier_call = netdev_event,
};

/* Addresses may come after a card is up, and change; under RTNL. */
static int inetaddr_event(struct notifier_block *nb, unsigned long event,
			  void *ptr)
{
	struct net_device *dev = ((const struct in_ifaddr *)ptr)->ifa_dev->dev;
	struct net_device *other;

	if (!live)
		return NOTIFY_DONE;
	follow_all(dev);
	if (pc_choice_concerns(dev))
		for_each_netdev(dev_net(dev), other)
			follow(other);
	return NOTIFY_DONE;
}

static struct notifier_block inetaddr_nb = {
	.notifier_call = inetaddr_event,
};

/** pc_netdev_config_changed() - bring all devices in line with the parameters */
void pc_netdev_config_changed(void)
{
	struct net_device *dev;
	struct net *net;

	rtnl_lock();
	if (live) {
		down_read(&net_rwsem);
		for_each_net(net)
			for_each_netdev(net, dev)
				follow(dev);
		up_read(&net_rwsem);
		pc_nexthop_look();
		pc_presence_greet();
	}
	rtnl_unlock();
}

/** pc_netdev_restock() - replace the frames that an oops has used */
void pc_netdev_restock(void)
{
	struct pc_iface *iface;

	rtnl_lock();
	list_for_each_entry(iface, &pc_ifaces, node) {
		if (!iface->np)
			continue;
		pc_burst_free(xchg(&iface->firing[PC_SLOT_OOPS], NULL));
		pc_iface_stock(iface);
	}
	rtnl_unlock();
}

/** pc_netdev_init() - arm what is there, and follow it from now on */
int pc_netdev_init(void)
{
	int err = register_netdevice_notifier(&netdev_nb);

	if (err)
		return err;
	err = register_inetaddr_notifier(&inetaddr_nb);
	if (err) {
		unregister_netdevice_notifier(&netdev_nb);
		cancel_work_sync(&rearm_work);
		return err;
	}
	rtnl_lock();
	live = true;
	rtnl_unlock();
	/* a parameter may have been written meanwhile */
	pc_netdev_config_changed();
	return 0;
}

/** pc_netdev_exit() - let go of every device */
void pc_netdev_exit(void)
{
	rtnl_lock();
	live = false;
	rtnl_unlock();
	unregister_inetaddr_notifier(&inetaddr_nb);
	/* tells the notifier that each device ends, which empties pc_ifaces */
	unregister_netdevice_notifier(&netdev_nb);
	cancel_work_sync(&rearm_work);
}
