// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts a frame on a transmit queue that is free, and never waits for one.
 */
#include <linux/netdevice.h>

#include "compat/compat.h"
#include "queue.h"

static bool try_queue(struct net_device *dev, unsigned int queue,
		      struct sk_buff *skb)
{
	struct netdev_queue *txq = netdev_get_tx_queue(dev, queue);
	netdev_tx_t status = NETDEV_TX_BUSY;

	skb_set_queue_mapping(skb, queue);
	/* HARD_TX_TRYLOCK(), in a form that sparse can follow */
	if (compat_dev_lltx(dev))
		__netif_tx_acquire(txq);
	else if (!__netif_tx_trylock(txq))
		return false;

	/* byte queue limits are for fairness, the ring has room */
	if (!netif_xmit_frozen_or_drv_stopped(txq))
		status = netdev_start_xmit(skb, dev, txq, false);

	if (compat_dev_lltx(dev))
		__netif_tx_release(txq);
	else
		__netif_tx_unlock(txq);
	return dev_xmit_complete(status);
}

/**
 * pc_queue_send() - hand a frame to a driver
 * @dev: its device
 * @first: the queue to try first; set to the one that took the frame
 * @skb: the frame; the driver's when it was taken
 *
 * A queue whose lock somebody holds, or whose ring is full, is passed over.
 * Interrupts and bottom halves are off, as drivers know it from netpoll.
 *
 * Return: whether a queue took it
 */
bool pc_queue_send(struct net_device *dev, unsigned int *first,
		   struct sk_buff *skb)
{
	unsigned int i, n = READ_ONCE(dev->real_num_tx_queues);

	for (i = 0; i < n; i++) {
		unsigned int queue = (*first + i) % n;

		if (try_queue(dev, queue, skb)) {
			*first = queue;
			return true;
		}
	}
	return false;
}
