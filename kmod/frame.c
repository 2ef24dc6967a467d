// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills Ethernet frames.  It needs no memory and no neighbour lookup: the
 * addresses are the administrator's, or broadcast.
 */
#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <net/ip.h>

#include "frame.h"

static void put_headers(struct sk_buff *skb, const struct pc_iface *iface,
			const struct pc_config *cfg, u8 protocol)
{
	struct iphdr *ip;
	struct ethhdr *eth;

	skb_reset_transport_header(skb);

	ip = skb_push(skb, sizeof(*ip));
	skb_reset_network_header(skb);
	*ip = (struct iphdr) {
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tot_len = htons(skb->len),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = protocol,
		.saddr = pc_iface_address(iface),
		.daddr = cfg->dest,
	};
	ip->check = ip_fast_csum(ip, ip->ihl);

	eth = skb_push(skb, sizeof(*eth));
	skb_reset_mac_header(skb);
	ether_addr_copy(eth->h_dest, cfg->dest_mac);
	ether_addr_copy(eth->h_source, iface->dev->dev_addr);
	eth->h_proto = htons(ETH_P_IP);

	/* the shortest frame that Ethernet has; drivers that pad would copy */
	if (skb->len < ETH_ZLEN)
		skb_put_zero(skb, ETH_ZLEN - skb->len);

	skb->dev = iface->dev;
	skb->protocol = htons(ETH_P_IP);
	skb->ip_summed = CHECKSUM_NONE;
}

/**
 * pc_frame_v1() - fill a frame with one datagram of a record
 * @skb: an unused frame of a burst
 * @iface: where it will be sent
 * @cfg: the configuration
 * @datagram: what pc_record_datagram() made, the same on every interface
 * @len: its bytes
 */
void pc_frame_v1(struct sk_buff *skb, const struct pc_iface *iface,
		 const struct pc_config *cfg, const u8 *datagram, size_t len)
{
	struct udphdr *udp;

	skb_reserve(skb, ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr));
	skb_put_data(skb, datagram, len);

	udp = skb_push(skb, sizeof(*udp));
	udp->source = htons(cfg->source_port);
	udp->dest = htons(cfg->port);
	udp->len = htons(skb->len);
	udp->check = 0;		/* legal on IPv4, and one thing less to do */
	put_headers(skb, iface, cfg, IPPROTO_UDP);
}

/**
 * pc_frame_raw() - fill a frame with text alone
 * @skb: an unused frame of a burst
 * @iface: where it will be sent
 * @cfg: the configuration
 * @rec: the record, whose text has at most PC_FRAME_RAW bytes
 */
void pc_frame_raw(struct sk_buff *skb, const struct pc_iface *iface,
		  const struct pc_config *cfg,
		  const struct pc_wire_record *rec)
{
	skb_reserve(skb, ETH_HLEN + sizeof(struct iphdr));
	skb_put_data(skb, rec->text, rec->text_len);
	put_headers(skb, iface, cfg, PC_FRAME_RAW_PROTOCOL);
}
