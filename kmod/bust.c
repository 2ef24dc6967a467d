// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frees transmit queues whose holders will never release them.
 */
#include <linux/netdevice.h>
#include <linux/spinlock.h>

#include "bust.h"

static bool bust(struct netdev_queue *txq)
{
	bool held = !spin_trylock(&txq->_xmit_lock);

	if (held) {
		spin_lock_init(&txq->_xmit_lock);
		WRITE_ONCE(txq->xmit_lock_owner, -1);
	} else {
		spin_unlock(&txq->_xmit_lock);
	}
	/* netif_tx_lock() holds a queue by this bit, without the lock */
	return test_and_clear_bit(__QUEUE_STATE_FROZEN, &txq->state) || held;
}

/**
 * pc_bust() - free the transmit queues of a device by force
 * @dev: the device
 *
 * Only in a panic, with interrupts off, as the last resort: when trying has
 * failed for longer than any running CPU keeps such a lock.  Then its holder is
 * a CPU that has been stopped, or the one that we are on, interrupted by its
 * own panic.  Neither will ever go on, and so the lock protects nothing any
 * more.
 *
 * What it did protect may be half done: a descriptor filled in but not yet
 * counted, which the next frame overwrites, or counted but not yet told to the
 * card, which learns of it with the next frame.  A driver that may have a lock
 * of its own inside is not even called, see pc_driver_trapped().  If that table
 * is wrong, the machine hangs here.  Who would rather reboot unheard sets
 * bust_locks=0.
 *
 * Return: true if there was something to free
 */
bool pc_bust(struct net_device *dev)
{
	bool busted = false;
	unsigned int i;

	for (i = 0; i < READ_ONCE(dev->real_num_tx_queues); i++)
		busted |= bust(netdev_get_tx_queue(dev, i));
	return busted;
}
