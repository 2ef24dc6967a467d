// SPDX-License-Identifier: GPL-2.0-only
/*
 * What panicast is measured against: the module of the article that it grew
 * from.  Frames of 1024 bytes of the log, protocol 255, made at load, given to
 * dev_queue_xmit() by a panic notifier, and nothing else.  It has no parameter
 * and cannot be unloaded.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <net/ip.h>

#include "compat/compat.h"

#define CHUNK	1024
#define FRAMES	64

static struct net_device *dev;
static struct sk_buff *frames[FRAMES];
static char text[FRAMES * CHUNK];

static void keep(struct sk_buff *skb)
{
}

static void send(struct sk_buff *skb, const char *chunk, size_t len)
{
	struct iphdr *ip;
	struct ethhdr *eth;

	memcpy(skb_put(skb, len), chunk, len);
	ip = skb_push(skb, sizeof(*ip));
	skb_reset_network_header(skb);
	*ip = (struct iphdr) {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(skb->len),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = 255,
		.daddr = htonl(INADDR_BROADCAST),
	};
	eth = skb_push(skb, sizeof(*eth));
	skb_reset_mac_header(skb);
	eth_broadcast_addr(eth->h_dest);
	ether_addr_copy(eth->h_source, dev->dev_addr);
	eth->h_proto = htons(ETH_P_IP);
	skb->dev = dev;
	skb->protocol = htons(ETH_P_IP);
	skb->destructor = keep;
	dev_queue_xmit(skb);
}

static int panic_event(struct notifier_block *nb, unsigned long event,
		       void *message)
{
	size_t len = compat_kmsg_newest(text, sizeof(text)), done;
	unsigned int i = 0;

	for (done = 0; done < len; done += CHUNK)
		send(frames[i++], text + done, min_t(size_t, CHUNK, len - done));
	return NOTIFY_DONE;
}

static struct notifier_block nb = { .notifier_call = panic_event };

static int __init article_init(void)
{
	unsigned int i;

	dev = dev_get_by_name(&init_net, "eth0");
	if (!dev)
		return -ENODEV;
	for (i = 0; i < FRAMES; i++) {
		frames[i] = alloc_skb(LL_RESERVED_SPACE(dev) +
				      sizeof(struct iphdr) + CHUNK, GFP_KERNEL);
		if (!frames[i])
			return -ENOMEM;
		skb_reserve(frames[i], LL_RESERVED_SPACE(dev) +
				       sizeof(struct iphdr));
	}
	return atomic_notifier_chain_register(&panic_notifier_list, &nb);
}
module_init(article_init);

MODULE_DESCRIPTION("the article's last words, for comparison");
MODULE_LICENSE("GPL");
