// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says hello while the machine lives, and bye when it goes down properly.  A
 * machine that falls silent with neither bye nor last words has died without
 * them.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/rtnetlink.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>

#include "config.h"
#include "identity.h"
#include "iface.h"
#include "live.h"
#include "nexthop.h"
#include "presence.h"

/* Time for a link to come up, and for DHCP to give it an address. */
#define GREET_DELAY	(2 * HZ)
/* A fleet that comes back after a power cut is not to speak all at once. */
#define GREET_SPREAD	(8 * HZ)
/* Later hellos come earlier by up to hello_s divided by this. */
#define HELLO_SPREAD	8
/* How long a reboot may be held up to say bye, in steps of 10 ms. */
#define BYE_TRIES	50

/* Both under RTNL, so that what was silenced stays silent. */
static bool live;
static bool asleep;

static void say_hello(struct work_struct *work);
static DECLARE_DELAYED_WORK(hello_work, say_hello);

/* A random time up to so much, different on each machine. */
static unsigned long spread(unsigned long most)
{
	return most ? get_random_u32() % most : 0;
}

/* Prepares a record for pc_live_send(); the raw format has no types for it. */
static struct pc_live *prepare(enum pc_wire_type type, const char *reason)
{
	if (asleep || pc_config()->format != PC_FORMAT_V1)
		return ERR_PTR(-EOPNOTSUPP);
	return pc_live_prepare(type, reason);
}

static void say_hello(struct work_struct *work)
{
	struct pc_live *hello = ERR_PTR(-ESHUTDOWN);
	unsigned long period;

	rtnl_lock();
	period = pc_config()->hello_s * HZ;
	if (live && period) {
		pc_nexthop_look();
		hello = prepare(PC_WIRE_HELLO, "");
		queue_delayed_work(system_freezable_wq, &hello_work,
				   period - spread(period / HELLO_SPREAD));
	}
	rtnl_unlock();
	pc_live_send(hello);
}

/**
 * pc_presence_greet() - say hello soon: an interface can send now, or its hello
 * has changed
 *
 * The caller holds RTNL.
 */
void pc_presence_greet(void)
{
	ASSERT_RTNL();
	if (live && pc_config()->hello_s)
		mod_delayed_work(system_freezable_wq, &hello_work,
				 GREET_DELAY + spread(GREET_SPREAD));
}

/**
 * pc_presence_going_down() - say bye if this is the last interface to go
 * @dev: the interface; the caller holds RTNL
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
		pc_live_send_within(prepare(PC_WIRE_BYE, "interface down"),
				    PC_LIVE_RTNL_MS);
}

/*
 * Says bye, and nothing more if @rest is set.  RTNL may be held for good, which
 * must not stop a reboot.
 */
static void say_bye(const char *reason, bool rest)
{
	int tries = BYE_TRIES;
	struct pc_live *bye;

	while (!rtnl_trylock()) {
		if (!--tries) {
			/* without a bye, but silent too */
			asleep |= rest;
			return;
		}
		fsleep(10000);
	}
	bye = prepare(PC_WIRE_BYE, reason);
	asleep |= rest;
	rtnl_unlock();
	pc_live_send(bye);
}

static void awake(void)
{
	rtnl_lock();
	asleep = false;
	pc_presence_greet();
	rtnl_unlock();
}

static int reboot_event(struct notifier_block *nb, unsigned long event,
			void *command)
{
	say_bye(event == SYS_RESTART ? "reboot" :
		event == SYS_HALT ? "halt" : "poweroff", false);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = {
	.notifier_call = reboot_event,
};

/* From before its image is made until it wakes, a machine is said to sleep. */
static int pm_event(struct notifier_block *nb, unsigned long event, void *data)
{
	switch (event) {
	case PM_SUSPEND_PREPARE:
		say_bye("suspend", true);
		break;
	case PM_HIBERNATION_PREPARE:
		say_bye("hibernation", true);
		pc_identity_image(true);
		break;
	case PM_RESTORE_PREPARE:
		say_bye("resume from hibernation", true);
		break;
	case PM_POST_HIBERNATION:
		pc_identity_renew();
		pc_identity_image(false);
		fallthrough;
	case PM_POST_SUSPEND:
	case PM_POST_RESTORE:
		awake();
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block pm_nb = {
	.notifier_call = pm_event,
};

/** pc_presence_init() - say hello and bye from now on */
int pc_presence_init(void)
{
	int err = register_reboot_notifier(&reboot_nb);

	if (err)
		return err;
	err = register_pm_notifier(&pm_nb);
	if (err) {
		unregister_reboot_notifier(&reboot_nb);
		return err;
	}
	rtnl_lock();
	live = true;
	rtnl_unlock();
	return 0;
}

/** pc_presence_exit() - say bye, and nothing more */
void pc_presence_exit(void)
{
	struct pc_live *bye;

	unregister_pm_notifier(&pm_nb);
	unregister_reboot_notifier(&reboot_nb);
	rtnl_lock();
	live = false;
	bye = prepare(PC_WIRE_BYE, "unload");
	rtnl_unlock();
	cancel_delayed_work_sync(&hello_work);
	pc_live_send(bye);
}
