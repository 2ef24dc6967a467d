/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_HOP_H
#define PANICAST_HOP_H

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/in6.h>

#include "config.h"

/**
 * struct pc_hop - what the kernel says of a destination
 * @dest: it
 * @everywhere: broadcast or multicast: it has no next hop
 * @why: what is missing, in words; NULL when nothing is
 * @ifindex: of the device that routing chose; 0 where it chose none
 * @name: of that device
 * @source: the address to send from
 * @key: address of the next hop
 * @key_len: its bytes, 0 where it is not known
 * @mac: of the next hop
 * @confirmed: jiffies when it was last heard of
 * @mtu: the largest packet that passes, as far as the kernel knows; 0 unknown
 * @device_mtu: of the device that routing chose
 */
struct pc_hop {
	struct pc_dest dest;
	bool everywhere;
	const char *why;
	int ifindex;
	char name[IFNAMSIZ];
	union pc_ip source;
	u8 key[sizeof(struct in6_addr)];
	unsigned int key_len;
	u8 mac[ETH_ALEN];
	unsigned long confirmed;
	unsigned int mtu;
	unsigned int device_mtu;
};

void pc_hop_ask(struct pc_hop *hop, const struct pc_dest *dest);
void pc_hop_remember_mtu(struct pc_hop *hop, const struct pc_hop *old);
int pc_hop_show(const struct pc_hop *hop, char *buf, int len);

#endif
