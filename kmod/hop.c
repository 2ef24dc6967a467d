// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's routes and neighbours say of one destination.
 */
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/jiffies.h>
#include <linux/netdevice.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <net/arp.h>
#include <net/neighbour.h>
#include <net/net_namespace.h>
#include <net/route.h>

#include "compat/compat.h"
#include "hop.h"

/* Asks a neighbour for its MAC address, unless it was heard just now. */
static const char *ask_neighbour(struct pc_hop *hop, struct dst_entry *dst,
				 const void *address)
{
	struct net_device *dev = dst->dev;
	const char *why = NULL;
	struct neighbour *n;

	if (dev->flags & IFF_LOOPBACK)
		return "it is this machine";
	hop->ifindex = dev->ifindex;
	strscpy(hop->name, dev->name, sizeof(hop->name));
	if (dev->type != ARPHRD_ETHER)
		return "its route leaves by no Ethernet";
	hop->mtu = dst_mtu(dst);
	hop->device_mtu = READ_ONCE(dev->mtu);

	n = dst_neigh_lookup(dst, address);
	if (IS_ERR_OR_NULL(n))
		return "no memory for its next hop";
	hop->key_len = min_t(unsigned int, n->tbl->key_len, sizeof(hop->key));
	memcpy(hop->key, n->primary_key, hop->key_len);
	/* a stale one is asked, and believed until it is known to be gone */
	neigh_event_send(n, NULL);
	if (READ_ONCE(n->nud_state) & NUD_VALID) {
		char mac[ALIGN(MAX_ADDR_LEN, sizeof(unsigned long))];

		neigh_ha_snapshot(mac, n, dev);
		ether_addr_copy(hop->mac, mac);
		hop->confirmed = READ_ONCE(n->confirmed);
	} else {
		why = "its next hop does not answer";
	}
	neigh_release(n);
	return why;
}

static const char *ask_ipv4(struct pc_hop *hop)
{
	struct flowi4 flow = {
		.daddr = hop->dest.ip.v4,
		.flowi4_proto = IPPROTO_UDP,
	};
	struct rtable *route = ip_route_output_key(&init_net, &flow);
	const char *why;

	if (IS_ERR(route))
		return "there is no route to it";
	hop->source.v4 = flow.saddr;
	why = ask_neighbour(hop, &route->dst, &flow.daddr);
	ip_rt_put(route);
	return why;
}

static const char *ask_ipv6(struct pc_hop *hop)
{
	struct flowi6 flow = {
		.daddr = hop->dest.ip.v6,
		.flowi6_proto = IPPROTO_UDP,
	};
	struct dst_entry *route = compat_ipv6_route(&init_net, &flow);
	const char *why;

	if (PTR_ERR(route) == -EAFNOSUPPORT)
		return "this kernel has no IPv6, or not loaded it";
	if (IS_ERR(route))
		return "there is no route to it";
	hop->source.v6 = flow.saddr;
	why = ask_neighbour(hop, route, &flow.daddr);
	dst_release(route);
	return why;
}

/**
 * pc_hop_remember_mtu() - keep what is known of larger packets
 * @hop: what the kernel says now
 * @old: what it said before
 *
 * The kernel forgets in ten minutes that a router behind the next hop had no
 * room for larger packets.  Nobody would tell it again in a panic.
 */
void pc_hop_remember_mtu(struct pc_hop *hop, const struct pc_hop *old)
{
	if (hop->dest.ipv6 == old->dest.ipv6 &&
	    !memcmp(&hop->dest.ip, &old->dest.ip, sizeof(hop->dest.ip)) &&
	    hop->ifindex == old->ifindex && hop->key_len == old->key_len &&
	    !memcmp(hop->key, old->key, hop->key_len) &&
	    hop->device_mtu == old->device_mtu && hop->mtu && old->mtu)
		hop->mtu = min(hop->mtu, old->mtu);
}

/**
 * pc_hop_ask() - ask the kernel how a destination is reached
 * @hop: filled
 * @dest: the destination; the caller holds RTNL
 */
void pc_hop_ask(struct pc_hop *hop, const struct pc_dest *dest)
{
	*hop = (struct pc_hop) { .dest = *dest };
	hop->everywhere = pc_dest_everywhere(dest);
	if (!hop->everywhere)
		hop->why = dest->ipv6 ? ask_ipv6(hop) : ask_ipv4(hop);
}

/**
 * pc_hop_show() - print the line of a destination
 * @hop: what the kernel said of it
 * @buf: a page of sysfs
 * @len: bytes that are there already
 *
 * Return: bytes printed
 */
int pc_hop_show(const struct pc_hop *hop, char *buf, int len)
{
	bool small = hop->mtu < hop->device_mtu;
	int begun = len;

	len += pc_dest_print(buf + len, PAGE_SIZE - len, &hop->dest);
	if (hop->everywhere)
		return len - begun + sysfs_emit_at(buf, len, " everywhere\n");
	if (hop->ifindex)
		len += sysfs_emit_at(buf, len, " dev %s", hop->name);
	if (hop->key_len == sizeof(__be32))
		len += sysfs_emit_at(buf, len, " via %pI4", hop->key);
	else if (hop->key_len)
		len += sysfs_emit_at(buf, len, " via %pI6c", hop->key);
	if (hop->why)
		len += sysfs_emit_at(buf, len, " unresolved: %s\n", hop->why);
	else
		len += sysfs_emit_at(buf, len, " mac %pM age %lu%s", hop->mac,
				     (jiffies - hop->confirmed) / HZ,
				     small ? "" : "\n");
	if (!hop->why && small)
		len += sysfs_emit_at(buf, len, " mtu %u\n", hop->mtu);
	return len - begun;
}
