// SPDX-License-Identifier: GPL-2.0-only
/*
 * Follows the devices as they come, go and change, and keeps the wanted ones
 * armed.
 */
#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/string.h>
#include <net/net_namespace.h>

#include "config.h"
#include "iface.h"
#include "netdev.h"
#include "presence.h"

/* What every IPv4 host can take; the metadata must fit into one frame. */
#define SMALLEST_MTU 576

static bool live;

static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && !memcmp(list, name, n))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/*
 * A real network card has a device behind it; bridges, tunnels, and the
 * hundreds of interfaces of containers have none.  Those, and a bond (whose
 * ports each send for themselves), are armed when they are named.
 */
static bool wanted(const struct net_device *dev)
{
	const char *list = pc_config()->iface;

	if (dev->type != ARPHRD_ETHER || dev->flags & IFF_LOOPBACK)
		return false;
	if (*list)
		return listed(list, dev->name);
#if IS_ENABLED(CONFIG_CFG80211)
	if (dev->ieee80211_ptr)
		return false;
#endif
	return dev->dev.parent;
}

/* Makes what we hold of a device what it should be.  Under RTNL. */
static void follow(struct net_device *dev)
{
	struct pc_iface *iface = pc_iface_find(dev);

	if (!wanted(dev)) {
		if (iface) {
			netdev_info(dev, "panicast: no longer armed\n");
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
	} else if (dev->mtu < SMALLEST_MTU) {
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
	if (iface->np)
		pc_presence_greet();
}

static int netdev_event(struct notifier_block *nb, unsigned long event,
			void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	struct pc_iface *iface;

	switch (event) {
	case NETDEV_REGISTER:
	case NETDEV_UP:
	case NETDEV_CHANGENAME:
	case NETDEV_CHANGEMTU:
		follow(dev);
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
		if (iface)
			pc_iface_del(iface);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block netdev_nb = {
	.notifier_call = netdev_event,
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
	}
	rtnl_unlock();
}

/** pc_netdev_restock() - lay ready again what an oops has used */
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
	live = true;
	return register_netdevice_notifier(&netdev_nb);
}

/** pc_netdev_exit() - let go of every device */
void pc_netdev_exit(void)
{
	rtnl_lock();
	live = false;
	rtnl_unlock();
	/* tells the notifier of each device's end, which empties pc_ifaces */
	unregister_netdevice_notifier(&netdev_nb);
}
