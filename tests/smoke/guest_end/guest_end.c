// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's end of a guest's card, guest0, as a driver makes one of a card's
 * virtual function (switchdev): Debian's kernels have no netdevsim.  It belongs to
 * eth0's device, and tells the console what a guest would hear.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

static netdev_tx_t guest_hears(struct sk_buff *skb, struct net_device *dev)
{
	if (skb->protocol == htons(ETH_P_IP))
		pr_emerg("A GUEST HEARS %u BYTES\n", skb->len);
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}

static int function_name(struct net_device *dev, char *buf, size_t len)
{
	return snprintf(buf, len, "pf0vf0") < len ? 0 : -EOPNOTSUPP;
}

static const struct net_device_ops guest_ops = {
	.ndo_start_xmit = guest_hears,
	.ndo_get_phys_port_name = function_name,
};

static struct net_device *guest;

static int __init guest_end_init(void)
{
	struct net_device *card = dev_get_by_name(&init_net, "eth0");
	int err;

	if (!card)
		return -ENODEV;
	guest = alloc_etherdev(0);
	if (!guest) {
		dev_put(card);
		return -ENOMEM;
	}
	strscpy(guest->name, "guest0", sizeof(guest->name));
	guest->netdev_ops = &guest_ops;
	eth_hw_addr_random(guest);
	SET_NETDEV_DEV(guest, card->dev.parent);
	dev_put(card);
	err = register_netdev(guest);
	if (err)
		free_netdev(guest);
	return err;
}

static void __exit guest_end_exit(void)
{
	unregister_netdev(guest);
	free_netdev(guest);
}

module_init(guest_end_init);
module_exit(guest_end_exit);

MODULE_DESCRIPTION("the end of a guest's card for the tests of panicast");
MODULE_LICENSE("GPL");
