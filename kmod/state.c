// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/module/panicast/state: what panicast-ctl shows, and its test.
 *
 *   armed       interfaces that would send, a line each
 *   unarmed     wanted interfaces that would not, a line each: "name: why"
 *   log_source  kernel_log_buffer or kmsg_dump
 *   key_id      number of the key that frames are sealed with, 0 for none
 *   test        write a reason: a record of type test is sent
 */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "config.h"
#include "iface.h"
#include "log.h"
#include "state.h"
#include "wire.h"
#include "xmit.h"

static ssize_t show_ifaces(char *buf, bool armed)
{
	struct pc_iface *iface;
	int len = 0;

	rtnl_lock();
	list_for_each_entry(iface, &pc_ifaces, node) {
		const char *why = iface->why;

		if (!why && !netif_carrier_ok(iface->dev))
			why = "no link";
		if (armed && !why)
			len += sysfs_emit_at(buf, len, "%s\n",
					     iface->dev->name);
		else if (!armed && why)
			len += sysfs_emit_at(buf, len, "%s: %s\n",
					     iface->dev->name, why);
	}
	rtnl_unlock();
	return len;
}

static ssize_t armed_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return show_ifaces(buf, true);
}

static ssize_t unarmed_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return show_ifaces(buf, false);
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

	/* given at load, so it never changes under us */
	return sysfs_emit(buf, "%u\n", cfg->sealed ? cfg->key_id : 0);
}

static ssize_t test_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	char *reason = kstrndup(buf, count, GFP_KERNEL);
	int sent;

	if (!reason)
		return -ENOMEM;
	rtnl_lock();
	sent = pc_xmit_live(PC_WIRE_TEST, strim(reason));
	rtnl_unlock();
	kfree(reason);

	if (sent < 0)
		return sent;
	pr_info("test: %d frames sent\n", sent);
	return sent ? count : -EIO;
}

static struct kobj_attribute armed_attr = __ATTR_RO(armed);
static struct kobj_attribute unarmed_attr = __ATTR_RO(unarmed);
static struct kobj_attribute log_source_attr = __ATTR_RO(log_source);
static struct kobj_attribute key_id_attr = __ATTR_RO(key_id);
static struct kobj_attribute test_attr = __ATTR_WO(test);

static struct attribute *state_attrs[] = {
	&armed_attr.attr,
	&unarmed_attr.attr,
	&log_source_attr.attr,
	&key_id_attr.attr,
	&test_attr.attr,
	NULL
};

static const struct attribute_group state_group = {
	.attrs = state_attrs,
};

static struct kobject *state;

/** pc_state_init() - show ourselves */
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
