// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/panicast: sends what firmware or kdump kept of a crash before this boot.
 *
 * User space finds it (panicast-ctl kept).  One write is one record: lines, an
 * empty line, and the log's text, of which the newest kib= KiB are sent.
 *
 *   type=panic		or oops
 *   kept=pstore	who kept it: up to 15 letters or digits
 *   time=1700000000	when it was, in seconds since the Unix epoch
 *   boot=HEX		the boot id of the boot that crashed, if it is known
 */
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "config.h"
#include "kept.h"
#include "live.h"
#include "record.h"

/* The lines before the text, and all of it. */
#define LINES_MAX	256
#define WRITE_MAX	(LINES_MAX + SZ_1M)

static int take_type(struct pc_kept *kept, const char *value)
{
	if (!strcmp(value, "panic"))
		kept->type = PC_WIRE_PANIC;
	else if (!strcmp(value, "oops"))
		kept->type = PC_WIRE_OOPS;
	else
		return -EINVAL;
	return 0;
}

static int take_by(struct pc_kept *kept, const char *value)
{
	const char *p;

	for (p = value; *p; p++)
		if (!isascii(*p) || !isalnum(*p))
			return -EINVAL;
	return strscpy(kept->by, value, sizeof(kept->by)) > 0 ? 0 : -EINVAL;
}

/* No crash before this boot is in the future: then the clock was wrong. */
static int take_time(struct pc_kept *kept, const char *value)
{
	u64 seconds, now = ktime_get_real_ns();

	if (kstrtou64(value, 10, &seconds))
		return -EINVAL;
	kept->time_ns = seconds < div_u64(now, NSEC_PER_SEC) ?
			seconds * NSEC_PER_SEC : now;
	return 0;
}

static int take_boot(struct pc_kept *kept, const char *value)
{
	kept->boot_known = true;
	if (strlen(value) != 2 * PC_WIRE_BOOT_ID)
		return -EINVAL;
	return hex2bin(kept->boot_id, value, PC_WIRE_BOOT_ID);
}

static const struct {
	const char *name;
	int (*take)(struct pc_kept *kept, const char *value);
} keys[] = {
	{ "type", take_type },
	{ "kept", take_by },
	{ "time", take_time },
	{ "boot", take_boot },
};

static int take_line(struct pc_kept *kept, char *line)
{
	char *name = strsep(&line, "=");
	int i;

	for (i = 0; line && i < ARRAY_SIZE(keys); i++)
		if (!strcmp(name, keys[i].name))
			return keys[i].take(kept, line);
	return -EINVAL;
}

static int parse(struct pc_kept *kept, const char *buf, size_t len)
{
	size_t limit = min_t(size_t, len, LINES_MAX);
	const char *end = strnstr(buf, "\n\n", limit);
	char lines[LINES_MAX], *next = lines;
	int err = 0;

	if (!end)
		return -EINVAL;
	memcpy(lines, buf, end - buf);
	lines[end - buf] = '\0';
	while (!err && next)
		err = take_line(kept, strsep(&next, "\n"));
	kept->text = end + 2;
	kept->len = buf + len - kept->text;
	if (!err && !(kept->type && kept->by[0] && kept->time_ns && kept->len))
		err = -EINVAL;
	return err;
}

static int send(const struct pc_kept *kept)
{
	struct pc_live *live;

	rtnl_lock();
	live = pc_config()->format == PC_FORMAT_V1 ?
		pc_live_prepare_kept(kept) : ERR_PTR(-EOPNOTSUPP);
	rtnl_unlock();
	return pc_live_send(live);
}

static ssize_t kept_write(struct file *file, const char __user *from,
			  size_t count, loff_t *pos)
{
	struct pc_kept kept = { };
	char *buf;
	int ret;

	if (!count)
		return -EINVAL;
	if (count > WRITE_MAX)
		return -EFBIG;
	buf = vmemdup_user(from, count);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	ret = parse(&kept, buf, count);
	if (!ret)
		ret = send(&kept);
	kvfree(buf);
	if (ret < 0)
		return ret;
	pr_info("kept by %s: %d frames sent\n", kept.by, ret);
	return ret ? count : -EIO;
}

static const struct file_operations kept_fops = {
	.owner = THIS_MODULE,
	.write = kept_write,
	.llseek = noop_llseek,
};

static struct miscdevice kept_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "panicast",
	.mode = 0200,
	.fops = &kept_fops,
};

/** pc_kept_init() - from here on it can be written to */
int pc_kept_init(void)
{
	return misc_register(&kept_device);
}

/** pc_kept_exit() - nobody has it open */
void pc_kept_exit(void)
{
	misc_deregister(&kept_device);
}
