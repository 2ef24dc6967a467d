// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/module/panicast/state: what panicast-ctl shows, and its test.
 *
 *   armed       interfaces that would send, a line each
 *   unarmed     cards that would not, and what iface= names: "name: why"
 *   silent      armed interfaces that say nothing while the machine is well:
 *		 "name: why"
 *		 These three have one page; "and N more" ends one that is cut.
 *   log_source  kernel_log_buffer or kmsg_dump
 *   key_id      number of the key that frames are sealed with, 0 for none
 *   destinations where records go, a line each: "ADDRESS everywhere", or
 *		 "ADDRESS dev NAME via ADDRESS mac MAC age SECONDS", where packets must
 *		 be smaller than on the device also "mtu N", or with "unresolved: why"
 *		 at its end
 *   test        write a reason: a record of type test is sent
 *   ask         the same, and it is waited for receivers' answers, 3 s at most
 *   heard       who answered the last one, a line each: "ADDRESS ms MS age
 *		 SECONDS frames N restored N plain|sealed NAME"; "refused: N" answers that were
 *		 none to it, or not sealed as it was; "deaf: why" none can come
 */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "ask.h"
#include "choice.h"
#include "config.h"
#include "iface.h"
#include "live.h"
#include "log.h"
#include "nexthop.h"
#include "state.h"
#include "upper.h"
#include "wire.h"

/* Why an interface would not send, NULL if it would. */
static const char *unarmed_because(const struct pc_iface *iface)
{
	if (iface->why)
		return iface->why;
	return netif_carrier_ok(iface->dev) ? NULL : "no link";
}

/* The bytes of "and N more" and its end. */
#define MORE_LINE	32

/**
 * struct lines - a list in a file of sysfs, which has one page
 * @buf: the page
 * @len: bytes of whole lines there
 * @more: how many lines had no room
 */
struct lines {
	char *buf;
	int len;
	unsigned int more;
};

static __printf(2, 3) void add_line(struct lines *lines, const char *fmt, ...)
{
	int room = PAGE_SIZE - MORE_LINE - lines->len, len;
	va_list args;

	va_start(args, fmt);
	len = vsnprintf(lines->buf + lines->len, room, fmt, args);
	va_end(args);
	if (lines->more || len >= room)
		lines->more++;
	else
		lines->len += len;
}

static ssize_t end_lines(struct lines *lines)
{
	if (lines->more)
		lines->len += sysfs_emit_at(lines->buf, lines->len,
					    "and %u more\n", lines->more);
	return lines->len;
}

static ssize_t armed_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	struct lines lines = { buf };
	struct pc_iface *iface;

	rtnl_lock();
	pc_for_each_iface(iface)
		if (!unarmed_because(iface))
			add_line(&lines, "%s\n", iface->dev->name);
	rtnl_unlock();
	return end_lines(&lines);
}

/*
 * The interfaces that are followed, in any namespace, and those of the initial
 * one that could be.
 *
 * The words, which panicast-ctl looks for: down, no link, USB, wireless, public,
 * iface=, waits for its key, MTU, netpoll, below it, virtual machine, whose ports,
 * memory.
 */
static ssize_t unarmed_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct lines lines = { buf };
	struct net_device *dev;
	struct pc_iface *iface;
	const char *why;

	rtnl_lock();
	pc_for_each_iface(iface) {
		why = unarmed_because(iface);
		if (why)
			add_line(&lines, "%s: %s\n", iface->dev->name, why);
	}
	for_each_netdev(&init_net, dev) {
		if (pc_iface_find(dev) || !pc_choice_possible(dev))
			continue;
		why = pc_choice_refusal(dev, false);
		add_line(&lines, "%s: %s\n", dev->name,
			 why ? why : "no memory");
	}
	rtnl_unlock();
	return end_lines(&lines);
}

static ssize_t silent_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	struct lines lines = { buf };
	struct net_device *group;
	struct pc_iface *iface;

	rtnl_lock();
	pc_for_each_iface(iface)
		if (!unarmed_because(iface) &&
		    !pc_upper_voice(iface->dev, &group))
			add_line(&lines,
				 "%s: standby, %s does not send on it\n",
				 iface->dev->name,
				 netdev_master_upper_dev_get(iface->dev)->name);
	rtnl_unlock();
	return end_lines(&lines);
}

static ssize_t log_source_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", pc_log_source());
}

static ssize_t key_id_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	const struct pc_config *cfg = pc_config();

	return sysfs_emit(buf, "%u\n", cfg->sealed ? cfg->key_id : 0);
}

static ssize_t destinations_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	int len;

	rtnl_lock();
	len = pc_nexthop_show(buf);
	rtnl_unlock();
	return len;
}

static int send_test(const char *reason)
{
	struct pc_live *test;

	rtnl_lock();
	test = pc_live_prepare(PC_WIRE_TEST, reason);
	rtnl_unlock();
	return pc_live_send(test);
}

static ssize_t store(const char *buf, size_t count,
		     int (*send)(const char *reason))
{
	char *reason = kstrndup(buf, count, GFP_KERNEL);
	int sent;

	if (!reason)
		return -ENOMEM;
	sent = send(strim(reason));
	kfree(reason);
	if (sent < 0)
		return sent;
	pr_info("test: %d frames sent\n", sent);
	return sent ? count : -EIO;
}

static ssize_t test_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	return store(buf, count, send_test);
}

static ssize_t ask_store(struct kobject *kobj, struct kobj_attribute *attr,
			 const char *buf, size_t count)
{
	return store(buf, count, pc_ask);
}

static ssize_t heard_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return pc_ask_show(buf);
}

static struct kobj_attribute armed_attr = __ATTR_RO(armed);
static struct kobj_attribute unarmed_attr = __ATTR_RO(unarmed);
static struct kobj_attribute silent_attr = __ATTR_RO(silent);
static struct kobj_attribute log_source_attr = __ATTR_RO(log_source);
static struct kobj_attribute key_id_attr = __ATTR_RO(key_id);
static struct kobj_attribute destinations_attr = __ATTR_RO(destinations);
static struct kobj_attribute test_attr = __ATTR_WO(test);
static struct kobj_attribute ask_attr = __ATTR_WO(ask);
static struct kobj_attribute heard_attr = __ATTR_RO(heard);

static struct attribute *state_attrs[] = {
	&armed_attr.attr,
	&unarmed_attr.attr,
	&silent_attr.attr,
	&log_source_attr.attr,
	&key_id_attr.attr,
	&destinations_attr.attr,
	&test_attr.attr,
	&ask_attr.attr,
	&heard_attr.attr,
	NULL
};

static const struct attribute_group state_group = {
	.attrs = state_attrs,
};

static struct kobject *state;

/** pc_state_init() - create the files in sysfs */
int pc_state_init(void)
{
	int err;

	state = kobject_create_and_add("state", &THIS_MODULE->mkobj.kobj);
	if (!state)
		return -ENOMEM;
	err = sysfs_create_group(state, &state_group);
	if (err)
		kobject_put(state);
	return err;
}

/** pc_state_exit() - waits for whoever is reading or testing */
void pc_state_exit(void)
{
	kobject_put(state);
}
