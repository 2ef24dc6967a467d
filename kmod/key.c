// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key of sealed frames: it can be written, but never read.
 *
 *   key=wait         at load: send nothing until a key was written
 *   "ID KEY"         to /sys/module/panicast/parameters/key, which only root can
 *                    write and nobody can read: as panicast-receiver keygen
 *                    prints them
 *   none             seal no longer
 *   key=KEY          at load, with key_id=: what older configurations have
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "config.h"
#include "params.h"
#include "seal.h"

/*
 * Wipes a key where it was given: the kernel keeps a module's arguments, and
 * sysfs leaves what was written in freed memory.
 */
static void wipe(const char *val)
{
	memzero_explicit((char *)val, strlen(val));
}

static int no_key(bool awaited)
{
	struct pc_config *edited = pc_config_edit();

	edited->sealed = false;
	edited->key_awaited = awaited;
	memzero_explicit(edited->key, sizeof(edited->key));
	return pc_params_put_in_force(edited);
}

/* "KEY", or "ID KEY". */
static int parse(struct pc_config *edited, const char *val)
{
	size_t len = strcspn(val, "\n");
	const char *key = strnchr(val, len, ' ');
	char id[4];

	if (key) {
		size_t id_len = min_t(size_t, sizeof(id) - 1, key - val);

		memcpy(id, val, id_len);
		id[id_len] = '\0';
		key++;
		len -= key - val;
		if (kstrtouint(id, 10, &edited->key_id) ||
		    edited->key_id < 1 || edited->key_id > 255)
			return -EINVAL;
	} else {
		key = val;
	}
	if (len != 2 * PC_SEAL_KEY || hex2bin(edited->key, key, PC_SEAL_KEY))
		return -EINVAL;
	return 0;
}

static int put_key(const char *val)
{
	struct pc_config *edited;
	int err = pc_seal_get();

	if (err)
		return err;
	edited = pc_config_edit();
	if (parse(edited, val)) {
		pc_config_retire();
		/* does not quote what was given: it may be nearly a key */
		pr_err("key refused: 64 hexadecimal digits are right, as panicast-receiver keygen prints them, with the key's id from 1 to 255 before them or in key_id=\n");
		return -EINVAL;
	}
	if (!memchr_inv(edited->key, 0, PC_SEAL_KEY)) {
		pr_err("key refused: one of zeros protects nothing\n");
		return -EINVAL;
	}
	if (!strchr(val, ' '))
		pr_warn("key= lies where makers of initramfs images copy it from, for all to read: panicast-ctl key puts it elsewhere\n");
	edited->sealed = true;
	edited->key_awaited = false;
	return pc_params_put_in_force(edited);
}

static int key_set(const char *val, const struct kernel_param *kp)
{
	int err;

	if (sysfs_streq(val, "wait"))
		return no_key(true);
	if (sysfs_streq(val, "") || sysfs_streq(val, "none"))
		return no_key(false);
	err = put_key(val);
	wipe(val);
	return err;
}

static const struct kernel_param_ops key_ops = {
	.set = key_set,
};
module_param_cb(key, &key_ops, NULL, 0200);
MODULE_PARM_DESC(key, "seal every frame with this key: its id and 64 hexadecimal digits; wait: send nothing until a key is written; empty: none");
