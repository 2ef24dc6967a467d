// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polls a device for what it has sent, without waiting for any lock that can
 * be tried.
 *
 * It does not use netpoll_poll_dev(): in many drivers ndo_poll_controller()
 * is disable_irq(), the handler, enable_irq(), see irq.c; in others it
 * schedules the NAPIs, which are polled here anyway.
 */
#include <linux/netdevice.h>
#include <linux/netpoll.h>
#include <linux/smp.h>

#include "irq.h"
#include "poll.h"

/* A driver's poll may wait for a transmit lock whose holder was stopped. */
static bool transmit_locked(struct net_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->real_num_tx_queues; i++) {
		struct netdev_queue *txq = netdev_get_tx_queue(dev, i);

		if (!__netif_tx_trylock(txq))
			return true;
		__netif_tx_unlock(txq);
	}
	return false;
}

static bool tx_only(const struct napi_struct *napi)
{
	return test_bit(NAPI_STATE_NO_BUSY_POLL, &napi->state);
}

/*
 * Whether sending has NAPIs of its own.  Then those for receiving are not
 * polled: virtio's allocates memory for its ring, and the panic may have come
 * from the allocator.
 */
static bool sends_apart(struct net_device *dev)
{
	struct napi_struct *napi;

	list_for_each_entry_rcu(napi, &dev->napi_list, dev_list)
		if (tx_only(napi))
			return true;
	return false;
}

/*
 * As netpoll does it.  Passes over a poll that somebody is in, who may have
 * been stopped there, and one that is disabled.
 */
static void poll_napi(struct net_device *dev)
{
	bool apart = sends_apart(dev);
	struct napi_struct *napi;

	list_for_each_entry_rcu(napi, &dev->napi_list, dev_list) {
		if (apart && !tx_only(napi))
			continue;
		if (cmpxchg(&napi->poll_owner, -1, smp_processor_id()) != -1)
			continue;
		if (!test_and_set_bit(NAPI_STATE_NPSVC, &napi->state)) {
			/* no budget: only for what has been sent */
			napi->poll(napi, 0);
			clear_bit(NAPI_STATE_NPSVC, &napi->state);
		}
		/* after the poll, as in netpoll */
		smp_store_release(&napi->poll_owner, -1);
	}
}

/**
 * pc_poll() - let the driver clean its ring
 * @dev: the device; interrupts are off, under RCU
 * @handler: also call its interrupt handler, in which nobody is
 */
void pc_poll(struct net_device *dev, bool handler)
{
	/*
	 * The kernel's own polls say who owns them only while the device has
	 * netpoll.  It may have forgotten ours, see netpoll.c: after an oops
	 * another CPU may be in a poll, and nobody could tell.
	 */
	if (!rcu_access_pointer(dev->npinfo) || transmit_locked(dev))
		return;
	if (handler)
		pc_irq_handle(dev);
	poll_napi(dev);
}
