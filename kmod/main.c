// SPDX-License-Identifier: GPL-2.0-only
/*
 * panicast - sends the newest kernel log to the network when the kernel panics
 *
 * All that a panic needs is prepared while the machine is well: interfaces are
 * armed with netpoll and frames of their own (netdev.c, iface.c), the next hops
 * of destinations are known (nexthop.c), and memory for the record lies ready
 * (panic.c).  After the panic the record is put
 * together (record.c, log.c, wire.c) and sent (xmit.c, frame.c).
 */
#include <linux/module.h>

#include "identity.h"
#include "kaslr.h"
#include "kept.h"
#include "lockup.h"
#include "log.h"
#include "netdev.h"
#include "nexthop.h"
#include "panic.h"
#include "presence.h"
#include "seal.h"
#include "state.h"
#include "version.h"

static int __init panicast_init(void)
{
	int err;

	pc_log_init();
	pc_kaslr_init();

	err = pc_identity_init();
	if (err)
		goto exit_log;
	err = pc_seal_init();
	if (err)
		goto exit_identity;
	err = pc_presence_init();
	if (err)
		goto exit_seal;
	err = pc_netdev_init();
	if (err)
		goto exit_presence;
	err = pc_nexthop_init();
	if (err)
		goto exit_netdev;
	err = pc_panic_init();
	if (err)
		goto exit_nexthop;
	err = pc_lockup_init();
	if (err)
		goto exit_panic;
	err = pc_state_init();
	if (err)
		goto exit_lockup;
	err = pc_kept_init();
	if (err)
		goto exit_state;

	pr_info("version %s, reads the log with %s\n", PANICAST_VERSION,
		pc_log_source());
	return 0;

exit_state:
	pc_state_exit();
exit_lockup:
	pc_lockup_exit();
exit_panic:
	pc_panic_exit();
exit_nexthop:
	pc_nexthop_exit();
exit_netdev:
	pc_netdev_exit();
exit_presence:
	pc_presence_exit();
exit_seal:
	pc_seal_exit();
exit_identity:
	pc_identity_exit();
exit_log:
	pc_log_exit();
	pr_err("not loaded: error %d\n", err);
	return err;
}

static void __exit panicast_exit(void)
{
	pc_kept_exit();
	pc_state_exit();
	/* says bye, so the interfaces must still be armed */
	pc_presence_exit();
	pc_lockup_exit();
	pc_panic_exit();
	pc_nexthop_exit();
	pc_netdev_exit();
	pc_seal_exit();
	pc_identity_exit();
	pc_log_exit();
}

module_init(panicast_init);
module_exit(panicast_exit);

MODULE_DESCRIPTION("Sends the last kernel messages to the network in a panic");
MODULE_VERSION(PANICAST_VERSION);
MODULE_LICENSE("GPL");
