// SPDX-License-Identifier: GPL-2.0-only
/*
 * By which interface each destination is reached, and whose MAC address the
 * frames carry.
 *
 * We ask the kernel (hop.c) while the machine is well, and keep
 * the answers with the interfaces (struct pc_ways).  In a panic nothing is
 * looked up, no lock is taken, and nobody is asked for a MAC address.
 *
 * We ask again at each hello, when a route or one of our next hops changes, each
 * minute, and every few seconds as long as something is missing.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/inetdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/fib_notifier.h>
#include <net/if_inet6.h>
#include <net/ip.h>
#include <net/neighbour.h>
#include <net/net_namespace.h>
#include <net/netevent.h>

#include "compat/compat.h"
#include "hop.h"
#include "nexthop.h"
#include "upper.h"

/* Routes may change by the thousand; then we look once. */
#define SETTLE		(HZ / 2)
/* As long as something is missing, and when all is well. */
#define AGAIN		(5 * HZ)
#define NOW_AND_THEN	(60 * HZ)

/* Changed under RTNL and the lock, read under one of them. */
static struct pc_hop hops[PC_DESTS];
static unsigned int hops_known;
static DEFINE_SPINLOCK(hops_lock);

/* Whether the notifiers follow what happens; under RTNL. */
static bool live;

/*
 * Whether there is anything to ask for.  There is not where all destinations
 * are IPv4 broadcasts or multicasts: then nothing wakes us.
 */
static bool asked;

static void look(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_again, look);
static DECLARE_DELAYED_WORK(look_soon, look);

/* An address of an interface, or of what sends through it, that needs no router. */
static bool link_local(struct net_device *dev, struct in6_addr *address)
{
	struct net_device *upper;
	struct list_head *iter;
	bool found;

	rcu_read_lock();
	found = compat_ipv6_link_local(dev, address);
	if (!found) {
		netdev_for_each_upper_dev_rcu(dev, upper, iter) {
			found = !is_vlan_dev(upper) &&
				compat_ipv6_link_local(upper, address);
			if (found)
				break;
		}
	}
	rcu_read_unlock();
	return found;
}

/* The MAC address for the frames: if it is not known, the administrator's. */
static void put_mac(struct pc_way *way, const struct pc_hop *hop)
{
	const union pc_ip *ip = &hop->dest.ip;

	if (!hop->everywhere && !hop->why)
		ether_addr_copy(way->mac, hop->mac);
	else if (hop->everywhere && hop->dest.ipv6)
		ipv6_eth_mc_map(&ip->v6, way->mac);
	else if (hop->everywhere && ipv4_is_multicast(ip->v4))
		ip_eth_mc_map(ip->v4, way->mac);
	else
		ether_addr_copy(way->mac, pc_config()->dest_mac);
}

/* Whether a destination leaves by an interface, and how. */
static bool find_way(struct pc_way *way, const struct pc_hop *hop,
		     struct net_device *dev, bool chosen)
{
	struct net_device *to;

	*way = (struct pc_way) {
		.dest = hop->dest,
		.source = hop->source,
		.mtu = hop->mtu,
	};
	put_mac(way, hop);
	if (hop->dest.ipv6 && ipv6_addr_any(&hop->source.v6))
		link_local(dev, &way->source.v6);
	if (!chosen)
		return true;
	to = __dev_get_by_index(&init_net, hop->ifindex);
	return to && pc_upper_reaches(dev, to, &way->vlan_proto,
				       &way->vlan_id);
}

/* Whether one of the armed interfaces is what routing chose, or below it. */
static bool somebody_reaches(const struct pc_hop *hop)
{
	struct pc_iface *iface;
	struct pc_way way;

	if (!hop->ifindex)
		return false;
	pc_for_each_iface(iface)
		if (rcu_access_pointer(iface->ways) &&
		    find_way(&way, hop, iface->dev, true))
			return true;
	return false;
}

/* Stores with an interface how each destination is reached by it. */
static int put_ways(struct pc_iface *iface)
{
	struct pc_ways *ways = kzalloc(sizeof(*ways), GFP_KERNEL);
	struct pc_ways *old = rtnl_dereference(iface->ways);
	unsigned int i;

	if (!ways)
		return -ENOMEM;
	for (i = 0; i < hops_known; i++)
		if (find_way(&ways->way[ways->n], &hops[i], iface->dev,
			     somebody_reaches(&hops[i])))
			ways->n++;
	rcu_assign_pointer(iface->ways, ways);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/* Whether something is missing; another interface may change that. */
static bool put_all_ways(void)
{
	struct pc_iface *iface;
	bool missing = false;
	unsigned int i;

	for (i = 0; i < hops_known; i++) {
		if (!hops[i].why && !hops[i].everywhere &&
		    !somebody_reaches(&hops[i]))
			WRITE_ONCE(hops[i].why,
				   "its route leaves by no armed interface");
		missing |= !!hops[i].why;
	}
	pc_for_each_iface(iface)
		if (rcu_access_pointer(iface->ways))
			missing |= put_ways(iface) < 0;
	/* one packet size for all: it may have become another */
	pc_for_each_iface(iface) {
		if (!pc_iface_armed(iface))
			continue;
		missing |= pc_iface_stock(iface) < 0;
		break;
	}
	return missing;
}

/**
 * pc_nexthop_look() - ask the kernel how each destination is reached
 *
 * The caller holds RTNL.
 */
void pc_nexthop_look(void)
{
	const struct pc_config *cfg = pc_config();
	struct pc_hop found[PC_DESTS];
	bool asking = false;
	unsigned int i;
	bool missing;

	ASSERT_RTNL();
	for (i = 0; i < cfg->dests; i++) {
		pc_hop_ask(&found[i], &cfg->dest[i]);
		if (i < hops_known)
			pc_hop_remember_mtu(&found[i], &hops[i]);
		asking |= !found[i].everywhere || found[i].dest.ipv6;
	}
	WRITE_ONCE(asked, asking);
	spin_lock_bh(&hops_lock);
	hops_known = cfg->dests;
	memcpy(hops, found, sizeof(*hops) * hops_known);
	spin_unlock_bh(&hops_lock);

	missing = put_all_ways();
	if (live && (asking || missing))
		mod_delayed_work(system_freezable_wq, &look_again,
				 missing ? AGAIN : NOW_AND_THEN);
}

static void look(struct work_struct *work)
{
	rtnl_lock();
	if (live)
		pc_nexthop_look();
	rtnl_unlock();
}

/**
 * pc_nexthop_look_soon() - look again soon, as something has changed; also in
 * interrupts
 */
void pc_nexthop_look_soon(void)
{
	if (READ_ONCE(live) && READ_ONCE(asked))
		queue_delayed_work(system_freezable_wq, &look_soon, SETTLE);
}

/**
 * pc_nexthop_arm() - prepare what an interface needs that is being armed
 * @iface: it; the caller holds RTNL
 *
 * Return: 0, -ENOMEM
 */
int pc_nexthop_arm(struct pc_iface *iface)
{
	int err = put_ways(iface);

	if (!err)
		pc_nexthop_look();
	return err;
}

/** pc_nexthop_disarm() - undo pc_nexthop_arm() */
void pc_nexthop_disarm(struct pc_iface *iface)
{
	struct pc_ways *ways = rtnl_dereference(iface->ways);

	RCU_INIT_POINTER(iface->ways, NULL);
	if (ways)
		kfree_rcu(ways, rcu);
	pc_nexthop_look_soon();
}

/* Whether a neighbour is one of our next hops, and has changed. */
static bool ours(const struct neighbour *n)
{
	bool valid = READ_ONCE(n->nud_state) & NUD_VALID;
	bool found = false;
	unsigned int i;

	/* elsewhere other devices have the same numbers */
	if (!net_eq(dev_net(n->dev), &init_net))
		return false;
	spin_lock_bh(&hops_lock);
	for (i = 0; i < hops_known; i++)
		found |= hops[i].key_len == n->tbl->key_len &&
			 hops[i].ifindex == n->dev->ifindex &&
			 !memcmp(hops[i].key, n->primary_key,
				 hops[i].key_len) &&
			 (valid != !READ_ONCE(hops[i].why) ||
			  !ether_addr_equal_unaligned(hops[i].mac, n->ha));
	spin_unlock_bh(&hops_lock);
	return found;
}

static int netevent(struct notifier_block *nb, unsigned long event, void *ptr)
{
	if (event == NETEVENT_REDIRECT ||
	    (event == NETEVENT_NEIGH_UPDATE && ours(ptr)))
		pc_nexthop_look_soon();
	return NOTIFY_DONE;
}

static struct notifier_block netevent_nb = {
	.notifier_call = netevent,
};

static int fib_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	pc_nexthop_look_soon();
	return NOTIFY_DONE;
}

static struct notifier_block fib_nb = {
	.notifier_call = fib_event,
};

static bool fib_told;

/**
 * pc_nexthop_unresolved() - print the destinations that are not resolved
 * @buf: where to, with commas between them; the caller holds RTNL
 * @size: bytes there
 */
void pc_nexthop_unresolved(char *buf, size_t size)
{
	size_t len = 0;
	unsigned int i;

	*buf = '\0';
	for (i = 0; i < hops_known; i++) {
		if (!hops[i].why)
			continue;
		len += scnprintf(buf + len, size - len, "%s", len ? "," : "");
		len += pc_dest_print(buf + len, size - len, &hops[i].dest);
	}
}

/**
 * pc_nexthop_show() - print a line for each destination; the caller holds
 * RTNL
 * @buf: a page of sysfs
 */
int pc_nexthop_show(char *buf)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < hops_known; i++)
		len += pc_hop_show(&hops[i], buf, len);
	return len;
}

/** pc_nexthop_init() - follow routes and neighbours from now on */
int pc_nexthop_init(void)
{
	int err = register_netevent_notifier(&netevent_nb);

	if (err)
		return err;
	rtnl_lock();
	live = true;
	pc_nexthop_look();
	rtnl_unlock();
	/*
	 * reports every existing route first; without it we look now and then
	 */
	fib_told = !register_fib_notifier(&init_net, &fib_nb, NULL, NULL);
	if (!fib_told)
		pr_warn("changes of routes are seen within a minute, not at once\n");
	return 0;
}

/** pc_nexthop_exit() - stop following */
void pc_nexthop_exit(void)
{
	if (fib_told)
		unregister_fib_notifier(&init_net, &fib_nb);
	unregister_netevent_notifier(&netevent_nb);
	rtnl_lock();
	live = false;
	rtnl_unlock();
	cancel_delayed_work_sync(&look_soon);
	cancel_delayed_work_sync(&look_again);
}
