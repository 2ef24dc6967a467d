// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills Ethernet frames.  It needs no memory and no neighbour lookup: the
 * addresses were found before, see nexthop.c.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>

#include "frame.h"

static void put_ipv4(struct sk_buff *skb, const struct pc_iface *iface,
		     const struct pc_way *way, u8 protocol)
{
	struct iphdr *ip = skb_push(skb, sizeof(*ip));

	*ip = (struct iphdr) {
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tot_len = htons(skb->len),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = protocol,
		.saddr = way->source.v4 ? way->source.v4 :
					  pc_iface_address(iface),
		.daddr = way->dest.ip.v4,
	};
	ip->check = ip_fast_csum(ip, ip->ihl);
}

/* IPv6 doesn't allow UDP to go without a checksum. */
static void put_ipv6(struct sk_buff *skb, const struct pc_way *way)
{
	struct udphdr *udp = udp_hdr(skb);
	unsigned int len = skb->len;
	struct ipv6hdr *ip;

	udp->check = csum_ipv6_magic(&way->source.v6, &way->dest.ip.v6, len,
				     IPPROTO_UDP, csum_partial(udp, len, 0));
	if (!udp->check)
		udp->check = CSUM_MANGLED_0;

	ip = skb_push(skb, sizeof(*ip));
	*ip = (struct ipv6hdr) {
		.version = 6,
		.payload_len = htons(len),
		.nexthdr = IPPROTO_UDP,
		.hop_limit = 64,
		.saddr = way->source.v6,
		.daddr = way->dest.ip.v6,
	};
}

static void put_headers(struct sk_buff *skb, const struct pc_iface *iface,
			const struct pc_way *way, u8 protocol)
{
	__be16 ethertype = htons(way->dest.ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	struct ethhdr *eth;

	skb_reset_transport_header(skb);
	if (way->dest.ipv6)
		put_ipv6(skb, way);
	else
		put_ipv4(skb, iface, way, protocol);
	skb_reset_network_header(skb);

	if (way->vlan_proto) {
		struct vlan_hdr *tag = skb_push(skb, sizeof(*tag));

		tag->h_vlan_TCI = htons(way->vlan_id);
		tag->h_vlan_encapsulated_proto = ethertype;
		ethertype = way->vlan_proto;
	}
	eth = skb_push(skb, sizeof(*eth));
	skb_reset_mac_header(skb);
	ether_addr_copy(eth->h_dest, way->mac);
	ether_addr_copy(eth->h_source, iface->dev->dev_addr);
	eth->h_proto = ethertype;

	/* the shortest frame that Ethernet has; drivers that pad would copy */
	if (skb->len < ETH_ZLEN)
		skb_put_zero(skb, ETH_ZLEN - skb->len);

	skb->dev = iface->dev;
	skb->protocol = ethertype;
	skb->ip_summed = CHECKSUM_NONE;
}

/**
 * pc_frame_v1() - fill a frame with one datagram of a record
 * @skb: an unused frame of a burst
 * @iface: where it will be sent
 * @way: to whom
 * @cfg: the configuration
 * @datagram: what pc_record_datagram() made, the same on every interface
 * @len: its bytes
 */
void pc_frame_v1(struct sk_buff *skb, const struct pc_iface *iface,
		 const struct pc_way *way, const struct pc_config *cfg,
		 const u8 *datagram, size_t len)
{
	struct udphdr *udp;

	skb_reserve(skb, PC_BURST_HEADERS);
	skb_put_data(skb, datagram, len);

	udp = skb_push(skb, sizeof(*udp));
	udp->source = htons(cfg->source_port);
	udp->dest = htons(cfg->port);
	udp->len = htons(skb->len);
	udp->check = 0;		/* legal on IPv4, and one thing less to do */
	put_headers(skb, iface, way, IPPROTO_UDP);
}

/**
 * pc_frame_raw() - fill a frame with text alone
 * @skb: an unused frame of a burst
 * @iface: where it will be sent
 * @way: to whom, by IPv4
 * @rec: the record, whose text has at most PC_FRAME_RAW bytes
 */
void pc_frame_raw(struct sk_buff *skb, const struct pc_iface *iface,
		  const struct pc_way *way, const struct pc_wire_record *rec)
{
	skb_reserve(skb, PC_BURST_HEADERS);
	skb_put_data(skb, rec->text, rec->text_len);
	put_headers(skb, iface, way, PC_FRAME_RAW_PROTOCOL);
}
