// SPDX-License-Identifier: GPL-2.0-only
/*
 * hello while the machine lives, bye when it goes in good order: whoever says
 * neither bye nor its last words has died without them.
 */
#include <linux/delay.h>
#include <linux/reboot.h>
#include <linux/rtnetlink.h>
#include <linux/workqueue.h>

#include "config.h"
#include "iface.h"
#include "presence.h"
#include "xmit.h"

/* For a link to come up, and for DHCP to give it an address. */
#define GREET_DELAY	(2 * HZ)
/* How long a reboot may be held up to say bye, in steps of 10 ms. */
#define BYE_TRIES	50

static bool live;

static void say_hello(struct work_struct *work);
static DECLARE_DELAYED_WORK(hello_work, say_hello);

/* The raw format has no types, so it can't say hello or bye. */
static bool speaks(void)
{
	return pc_config()->format == PC_FORMAT_V1;
}

static void say_hello(struct work_struct *work)
{
	unsigned int hello_s;

	rtnl_lock();
	hello_s = pc_config()->hello_s;
	if (live && hello_s) {
		if (speaks())
			pc_xmit_live(PC_WIRE_HELLO, "");
		queue_delayed_work(system_freezable_wq, &hello_work,
				   hello_s * HZ);
	}
	rtnl_unlock();
}

static void say_bye(const char *reason)
{
	if (speaks())
		pc_xmit_live(PC_WIRE_BYE, reason);
}

/** pc_presence_greet() - an interface has become able to send */
void pc_presence_greet(void)
{
	if (live && pc_config()->hello_s)
		mod_delayed_work(system_freezable_wq, &hello_work, GREET_DELAY);
}

/** pc_presence_config_changed() - say hello with the new parameters */
void pc_presence_config_changed(void)
{
	pc_presence_greet();
}

/**
 * pc_presence_going_down() - say bye if this is the last interface to go
 * @dev: it; the caller holds RTNL
 *
 * Distributions take interfaces down before the kernel hears of the reboot.
 */
void pc_presence_going_down(const struct net_device *dev)
{
	struct pc_iface *iface;
	bool last = false;

	/* an unload has said bye already */
	if (!live)
		return;
	pc_for_each_iface(iface) {
		if (!pc_iface_armed(iface) || !pc_iface_can_send(iface))
			continue;
		if (iface->dev != dev)
			return;
		last = true;
	}
	if (last)
		say_bye("interface down");
}

static int reboot_event(struct notifier_block *nb, unsigned long event,
			void *command)
{
	const char *reason = event == SYS_RESTART ? "reboot" :
			     event == SYS_HALT ? "halt" : "poweroff";
	int tries = BYE_TRIES;

	/* whoever holds it may hang for good, and must not stop the reboot */
	while (!rtnl_trylock()) {
		if (!--tries)
			return NOTIFY_DONE;
		fsleep(10000);
	}
	say_bye(reason);
	rtnl_unlock();
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = {
	.notifier_call = reboot_event,
};

/** pc_presence_init() - from here on hello and bye are said */
int pc_presence_init(void)
{
	live = true;
	return register_reboot_notifier(&reboot_nb);
}

/** pc_presence_exit() - say bye, and nothing more */
void pc_presence_exit(void)
{
	unregister_reboot_notifier(&reboot_nb);
	rtnl_lock();
	live = false;
	say_bye("unload");
	rtnl_unlock();
	cancel_delayed_work_sync(&hello_work);
}
