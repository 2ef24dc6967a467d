// SPDX-License-Identifier: GPL-2.0-only
/*
 * Our share of a device's netpoll; netconsole may have another.
 *
 * Up to 6.17, unless the fix was backported, a user that gives up its share
 * makes the device forget the shared state.  Then the others fall silent, their
 * memory leaks, and the device's polls no longer say who owns them.  So we
 * never make the device forget, and if others did, we remind it.
 */
#include <linux/netpoll.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "netpoll.h"

/**
 * pc_netpoll_take() - take a share
 * @iface: the interface; the caller holds RTNL
 * @np: set to what pc_netpoll_give() wants back
 *
 * Return: 0, or an error that @iface->why explains
 */
int pc_netpoll_take(struct pc_iface *iface, struct netpoll **np)
{
	int err;

	/* netpoll frees it, so it can't be part of struct pc_iface */
	*np = kzalloc(sizeof(**np), GFP_KERNEL);
	if (!*np) {
		iface->why = "no memory";
		return -ENOMEM;
	}
	(*np)->name = "panicast";
	err = __netpoll_setup(*np, iface->dev);
	if (err) {
		/* kernels have both names for it */
		iface->why = err == -EOPNOTSUPP || err == -ENOTSUPP ?
			"its driver can't do netpoll" : "netpoll refused it";
		kfree(*np);
		return err;
	}
	iface->info = rtnl_dereference(iface->dev->npinfo);
	return 0;
}

/**
 * pc_netpoll_keep() - remind the device of what is shared, if it forgot it
 * @iface: armed; the caller holds RTNL, or the machine panics
 */
void pc_netpoll_keep(struct pc_iface *iface)
{
	if (!rcu_access_pointer(iface->dev->npinfo))
		rcu_assign_pointer(iface->dev->npinfo, iface->info);
}

/* Waits for RCU readers: an oops may be sending. */
static void give(struct netpoll_info *info, struct net_device *dev,
		 struct netpoll *np)
{
	if (rtnl_dereference(dev->npinfo) == info &&
	    refcount_read(&info->refcnt) == 1) {
		__netpoll_free(np);
		return;
	}

	synchronize_rcu();
	if (refcount_dec_and_test(&info->refcnt)) {
		/* the device has forgotten it and been given another one */
		cancel_delayed_work_sync(&info->tx_work);
		skb_queue_purge(&info->txq);
		kfree_rcu(info, rcu);
	}
	compat_netpoll_flush(np);
	kfree(np);
}

/**
 * pc_netpoll_give() - give up the share
 * @iface: the interface; the caller holds RTNL
 * @np: from pc_netpoll_take(); freed
 *
 * For RTNL's sake RCU hurries, as it does in synchronize_net(), which
 * __netpoll_free() does not call.  Measured on two busy emulated CPUs (6.12),
 * while a card went down 15 times: 4 ms instead of 20 (medians), 33 instead of
 * 64 at most.  The kernel itself waits there once more for the same.
 */
void pc_netpoll_give(struct pc_iface *iface, struct netpoll *np)
{
	struct netpoll_info *info = iface->info;

	iface->info = NULL;
	if (!rcu_access_pointer(iface->dev->npinfo))
		rcu_assign_pointer(iface->dev->npinfo, info);
	compat_rcu_hurry(true);
	give(info, iface->dev, np);
	compat_rcu_hurry(false);
}
