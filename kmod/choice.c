// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chooses the interfaces: those that iface= names, or by default every card
 * that may broadcast the log.
 *
 * Names refer to the initial network namespace.  A user can create another
 * namespace and give interfaces there any name.  He would get the kernel's log,
 * and kernel memory that is not charged to him.  Hardware is different: only
 * the machine's administrator can put it there.
 */
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/in.h>
#include <linux/inetdevice.h>
#include <linux/rtnetlink.h>
#include <linux/string.h>
#include <net/dsa.h>
#include <net/net_namespace.h>

#include "compat/compat.h"
#include "choice.h"
#include "config.h"
#include "upper.h"

/* What iface= says of an interface. */
enum listing {
	LISTED,
	LEFT_OUT,
	OTHERS_LISTED,
	NOTHING_SAID,
};

/* Whether a pattern is a name: * is any text, ? any character. */
static bool matches(const char *pattern, const char *end, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name) {
		if (pattern < end && *pattern == '*') {
			star = ++pattern;
			retry = name;
		} else if (pattern < end &&
			   (*pattern == '?' || *pattern == *name)) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (pattern < end && *pattern == '*')
		pattern++;
	return pattern == end;
}

/*
 * The host's end of a virtual machine's card: Xen's netback, and the
 * representors of a card's functions (switchdev), which have the names and
 * flavours that devlink knows.  Guests would have what is sent there.
 */
static bool leads_to_guest(struct net_device *dev)
{
	const struct net_device_ops *ops = dev->netdev_ops;
	const struct device *parent = dev->dev.parent;
	char name[IFNAMSIZ] = "";

	if (parent && parent->bus && !strcmp(parent->bus->name, "xen-backend"))
		return true;
	if (ops->ndo_get_phys_port_name &&
	    !ops->ndo_get_phys_port_name(dev, name, sizeof(name)) &&
	    strnstr(name, "pf", sizeof(name)))
		return true;
	return compat_port_of_function(dev);
}

/*
 * A network card has a device behind it; bridges, tunnels, and the hundreds of
 * interfaces of containers have none.  A failover device borrows that of the
 * two cards below it, which send for themselves.
 */
static bool hardware(struct net_device *dev)
{
	return dev->dev.parent && !netif_is_failover(dev) &&
	       !leads_to_guest(dev);
}

/*
 * Whether a device might wait in a panic.  A virtual one must hand its frame on
 * by netpoll.  Others give it to the network stack (tunnels, Open vSwitch, a
 * failover device), to a reader (tap) or to another interface (veth): there
 * memory is taken and locks are waited for.
 */
static int waits(struct net_device *dev, struct netdev_nested_priv *priv)
{
	return pc_upper_waits(dev) ||
	       !(hardware(dev) || dev->netdev_ops->ndo_netpoll_setup);
}

/* Why what iface= names is not to be armed all the same, NULL if it is. */
static const char *named_refusal(struct net_device *dev)
{
	struct netdev_nested_priv priv = {};

	if (leads_to_guest(dev))
		return "leads to a virtual machine, which would have the log";
	if (waits(dev, &priv) || netdev_walk_all_lower_dev(dev, waits, &priv))
		return "virtual, and it or a port below it may wait for locks";
	return NULL;
}

/*
 * A name with a ! in front of it is left out, whatever else matches.  A pattern
 * matches only hardware: the other end of a container's interface may have any
 * name.
 */
static enum listing listing(const char *list, struct net_device *dev)
{
	enum listing found = NOTHING_SAID;

	while (*list) {
		const char *end = list + strcspn(list, ",");
		bool not = *list == '!';
		const char *item = list + not;
		bool pattern = strcspn(item, "*?") < end - item;
		bool match = matches(item, end, dev->name);

		if (match && not)
			return LEFT_OUT;
		if (match && (hardware(dev) || !pattern))
			found = LISTED;
		else if (!not && found != LISTED)
			found = OTHERS_LISTED;
		list = end + (*end == ',');
	}
	return found;
}

static bool on_usb(const struct net_device *dev)
{
	const struct device *device;

	for (device = dev->dev.parent; device; device = device->parent)
		if (device->bus && !strcmp(device->bus->name, "usb"))
			return true;
	return false;
}

static bool wireless(const struct net_device *dev)
{
#if IS_ENABLED(CONFIG_CFG80211)
	return dev->ieee80211_ptr;
#else
	return false;
#endif
}

/* The kernel's names for kinds of devices that seem to be cards. */
static const struct {
	const char *type;
	const char *refusal;
} types[] = {
	/* its driver hands the frame on by netpoll, which was never tried */
	{ "dsa", "port of a switch chip (DSA), only armed when iface= names it" },
};

static const char *type_refusal(const struct net_device *dev)
{
	const char *type = dev->dev.type ? dev->dev.type->name : NULL;
	unsigned int i;

	for (i = 0; type && i < ARRAY_SIZE(types); i++)
		if (!strcmp(type, types[i].type))
			return types[i].refusal;
	return NULL;
}

/* Whether the Internet can route to it, as far as the address tells. */
static bool public(__be32 address)
{
	return !(ipv4_is_private_10(address) || ipv4_is_private_172(address) ||
		 ipv4_is_private_192(address) || ipv4_is_loopback(address) ||
		 ipv4_is_linklocal_169(address) || ipv4_is_zeronet(address) ||
		 ipv4_is_multicast(address) || ipv4_is_lbcast(address) ||
		 ipv4_is_test_198(address) ||
		 /* RFC 6598: what providers have behind their own NAT */
		 (address & htonl(0xffc00000)) == htonl(0x64400000));
}

static bool has_public_address(const struct net_device *dev)
{
	const struct in_device *in_dev = __in_dev_get_rtnl(dev);
	const struct in_ifaddr *ifa;

	if (in_dev)
		in_dev_for_each_ifa_rtnl(ifa, in_dev)
			if (public(ifa->ifa_local))
				return true;
	return false;
}

/*
 * Open vSwitch's own interfaces have the addresses, and which of them is on
 * whose segment is known only to user space.
 */
static bool switch_is_public(const struct net_device *master)
{
	struct net_device *dev;

	for_each_netdev(dev_net(master), dev)
		if (netif_is_ovs_master(dev) && has_public_address(dev))
			return true;
	return false;
}

/* Whether an interface, or what is above it, has any IPv4 address. */
static bool has_address(struct net_device *dev)
{
	const struct in_device *in_dev = __in_dev_get_rtnl(dev);
	struct net_device *upper;
	struct list_head *iter;

	if (in_dev && rtnl_dereference(in_dev->ifa_list))
		return true;
	netdev_for_each_upper_dev_rcu(dev, upper, iter)
		if (has_address(upper))
			return true;
	return false;
}

/*
 * Which card a PPPoE session leaves by is known to its driver only.  It is one
 * that needs no address of its own.
 */
static bool may_carry_public_ppp(struct net_device *dev)
{
	struct net_device *ppp;

	if (has_address(dev))
		return false;
	for_each_netdev(dev_net(dev), ppp)
		if (ppp->type == ARPHRD_PPP && has_public_address(ppp))
			return true;
	return false;
}

/*
 * Whether an interface, or what sends through it, has a public IPv4 address.  A
 * VLAN is another segment.  An interface in another namespace doesn't count:
 * with a macvlan of its own a container could silence the machine.
 */
static bool on_public_segment(struct net_device *dev)
{
	struct net_device *upper;
	struct list_head *iter;

	if (has_public_address(dev))
		return true;
	netdev_for_each_upper_dev_rcu(dev, upper, iter) {
		if (is_vlan_dev(upper) ||
		    !net_eq(dev_net(upper), dev_net(dev)))
			continue;
		if (on_public_segment(upper) ||
		    (netif_is_ovs_master(upper) && switch_is_public(upper)))
			return true;
	}
	return false;
}

/* Why a card is not armed by default, NULL if it is. */
static const char *default_refusal(struct net_device *dev)
{
	const char *refusal = type_refusal(dev);

	if (!hardware(dev))
		return "a virtual interface, only armed when iface= names it";
	if (refusal)
		return refusal;
	if (wireless(dev))
		return "wireless, only armed when iface= names it";
	/* they allocate memory to send, or belong to the machine's management */
	if (on_usb(dev))
		return "USB, only armed when iface= names it";
	if (!pc_config()->sealed && on_public_segment(dev))
		return "public IPv4 address, only armed when iface= names it or records are sealed";
	if (!pc_config()->sealed && may_carry_public_ppp(dev))
		return "PPP has a public IPv4 address, only armed by iface= or with a key";
	return NULL;
}

/**
 * pc_choice_concerns() - whether its addresses decide which others are chosen
 * @dev: an interface, which the kernel does not know above those others
 */
bool pc_choice_concerns(const struct net_device *dev)
{
	return netif_is_ovs_master(dev) || dev->type == ARPHRD_PPP;
}

/** pc_choice_possible() - whether the administrator should see an interface */
bool pc_choice_possible(struct net_device *dev)
{
	if (dev->type != ARPHRD_ETHER || dev->flags & IFF_LOOPBACK)
		return false;
	return hardware(dev) || (net_eq(dev_net(dev), &init_net) &&
				 listing(pc_config()->iface, dev) == LISTED);
}

/**
 * pc_choice_refusal() - why an interface must not be armed
 * @dev: the interface; the caller holds RTNL
 * @followed: it was chosen before, perhaps in another namespace
 *
 * Return: the reason in words, as in state.c; NULL if it may be armed
 */
const char *pc_choice_refusal(struct net_device *dev, bool followed)
{
	const char *list = pc_config()->iface;

	ASSERT_RTNL();
	if (dev->type != ARPHRD_ETHER || dev->flags & IFF_LOOPBACK)
		return "not Ethernet";
	/* a frame without the tag of a port goes nowhere */
	if (netdev_uses_dsa(dev))
		return "leads to a switch chip (DSA), whose ports send by it";
	if (pc_config()->key_awaited)
		return "waits for its key";
	if (!net_eq(dev_net(dev), &init_net) && *list)
		return followed && hardware(dev) ? NULL :
			"left out: iface= means the initial namespace";

	switch (listing(list, dev)) {
	case LISTED:
		return named_refusal(dev);
	case NOTHING_SAID:
		return default_refusal(dev);
	default:
		return "left out by iface=";
	}
}
