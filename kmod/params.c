// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's parameters: text from modprobe.d or sysfs to struct pc_config. A
 * wrong value changes nothing, and the log says what is valid.
 *
 * The kernel holds the module's parameter lock around every call here.
 */
#include <linux/ctype.h>
#include <linux/etherdevice.h>
#include <linux/inet.h>
#include <linux/moduleparam.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <net/ipv6.h>

#include "compat/compat.h"
#include "config.h"
#include "lockup.h"
#include "netdev.h"
#include "panic.h"
#include "params.h"
#include "wire.h"

/* Text parameters are stored as given, less the newline that echo adds. */
static int copy_text(char *dst, size_t size, const char *val)
{
	ssize_t len = strscpy(dst, val, size);

	if (len < 0)
		return -ENAMETOOLONG;
	if (len && dst[len - 1] == '\n')
		dst[len - 1] = '\0';
	return 0;
}

/**
 * pc_params_put_in_force() - make an edited configuration the one that is used
 * @edited: from pc_config_edit(), with the parameter lock held since
 *
 * Return: 0; -EINVAL where its values contradict each other, and the old one
 * stays in force; -ENOMEM
 */
int pc_params_put_in_force(struct pc_config *edited)
{
	int err;

	if (edited->sealed && edited->format == PC_FORMAT_RAW) {
		pr_err("format=raw with a key refused: raw frames are never sealed; use v1, or load without key=\n");
		goto refuse;
	}
	if (pc_config_ipv6(edited) && edited->format == PC_FORMAT_RAW) {
		pr_err("format=raw with an IPv6 address in dest= refused: raw frames are IPv4; use v1, or name IPv4 addresses\n");
		goto refuse;
	}
	pc_config_publish(edited);
	/* takes RTNL, for pc_config_retire() too */
	pc_netdev_config_changed();
	err = pc_panic_config_changed() ?: pc_lockup_config_changed();
	pc_config_retire();
	return err;

refuse:
	pc_config_retire();
	return -EINVAL;
}

static int refuse(const struct kernel_param *kp, const char *val,
		  const char *right)
{
	pr_err("%s=%.*s refused: %s is right\n", kp->name,
	       (int)strcspn(val, "\n"), val, right);
	return -EINVAL;
}

/* --- numbers ------------------------------------------------------------- */

struct number {
	size_t offset;
	unsigned int min;
	unsigned int max;
};

static int number_set(const char *val, const struct kernel_param *kp)
{
	const struct number *number = kp->arg;
	struct pc_config *edited;
	char right[48];
	unsigned int v;

	if (kstrtouint(val, 0, &v) || v < number->min || v > number->max) {
		snprintf(right, sizeof(right), "a number from %u to %u",
			 number->min, number->max);
		return refuse(kp, val, right);
	}
	edited = pc_config_edit();
	*(unsigned int *)((char *)edited + number->offset) = v;
	return pc_params_put_in_force(edited);
}

static int number_get(char *buf, const struct kernel_param *kp)
{
	const struct number *number = kp->arg;

	return sysfs_emit(buf, "%u\n", *(const unsigned int *)
			  ((const char *)pc_config() + number->offset));
}

static const struct kernel_param_ops number_ops = {
	.set = number_set,
	.get = number_get,
};

static const struct number port_number = {
	offsetof(struct pc_config, port), 1, 65535
};
module_param_cb(port, &number_ops, (void *)&port_number, 0644);
MODULE_PARM_DESC(port, "UDP port of the receivers (6664)");

static const struct number source_port_number = {
	offsetof(struct pc_config, source_port), 1, 65535
};
module_param_cb(source_port, &number_ops, (void *)&source_port_number, 0644);
MODULE_PARM_DESC(source_port, "UDP source port (6665)");

static const struct number kib_number = {
	offsetof(struct pc_config, kib), 1, 1024
};
module_param_cb(kib, &number_ops, (void *)&kib_number, 0644);
MODULE_PARM_DESC(kib, "KiB of the newest kernel log in a record (64)");

static const struct number repeat_number = {
	offsetof(struct pc_config, repeat), 1, 8
};
module_param_cb(repeat, &number_ops, (void *)&repeat_number, 0644);
MODULE_PARM_DESC(repeat, "how often a record is sent (1)");

static const struct number parity_number = {
	offsetof(struct pc_config, parity), 0, 100
};
module_param_cb(parity, &number_ops, (void *)&parity_number, 0644);
MODULE_PARM_DESC(parity,
		 "parity frames for each hundred frames of a record (100)");

static const struct number spread_ms_number = {
	offsetof(struct pc_config, spread_ms), 0, 1000
};
module_param_cb(spread_ms, &number_ops, (void *)&spread_ms_number, 0644);
MODULE_PARM_DESC(spread_ms,
		 "milliseconds between a record's frames and their parity (10)");

static const struct number gap_us_number = {
	offsetof(struct pc_config, gap_us), 0, 1000
};
module_param_cb(gap_us, &number_ops, (void *)&gap_us_number, 0644);
MODULE_PARM_DESC(gap_us, "microseconds between two frames (0)");

static const struct number drain_ms_number = {
	offsetof(struct pc_config, drain_ms), 0, 5000
};
module_param_cb(drain_ms, &number_ops, (void *)&drain_ms_number, 0644);
MODULE_PARM_DESC(drain_ms,
		 "milliseconds to wait until the interfaces have sent the frames (200)");

static const struct number bust_locks_number = {
	offsetof(struct pc_config, bust_locks), 0, 1
};
module_param_cb(bust_locks, &number_ops, (void *)&bust_locks_number, 0644);
MODULE_PARM_DESC(bust_locks,
		 "free a transmit queue that a stopped CPU holds (1)");

static const struct number hello_s_number = {
	offsetof(struct pc_config, hello_s), 0, 86400
};
module_param_cb(hello_s, &number_ops, (void *)&hello_s_number, 0644);
MODULE_PARM_DESC(hello_s, "seconds between two hellos, 0 for none (300)");

/* --- words --------------------------------------------------------------- */

struct words {
	size_t offset;
	const char *right;
	const struct {
		const char *name;
		unsigned int value;
	} word[4];
};

static int words_set(const char *val, const struct kernel_param *kp)
{
	const struct words *words = kp->arg;
	struct pc_config *edited;
	int i;

	for (i = 0; i < ARRAY_SIZE(words->word) && words->word[i].name; i++) {
		if (!sysfs_streq(val, words->word[i].name))
			continue;
		edited = pc_config_edit();
		*(unsigned int *)((char *)edited + words->offset) =
			words->word[i].value;
		return pc_params_put_in_force(edited);
	}
	return refuse(kp, val, words->right);
}

static int words_get(char *buf, const struct kernel_param *kp)
{
	const struct words *words = kp->arg;
	unsigned int v = *(const unsigned int *)
			 ((const char *)pc_config() + words->offset);
	int i = 0;

	while (i < ARRAY_SIZE(words->word) - 1 && words->word[i].value != v)
		i++;
	return sysfs_emit(buf, "%s\n", words->word[i].name);
}

static const struct kernel_param_ops words_ops = {
	.set = words_set,
	.get = words_get,
};

static const struct words format_words = {
	offsetof(struct pc_config, format), "v1 or raw",
	{ { "v1", PC_FORMAT_V1 }, { "raw", PC_FORMAT_RAW } },
};
module_param_cb(format, &words_ops, (void *)&format_words, 0644);
MODULE_PARM_DESC(format, "v1, or raw: one frame of 1024 bytes (v1)");

static const struct words reasons_words = {
	offsetof(struct pc_config, reasons),
	"panic, panic,oops, panic,lockup or panic,oops,lockup",
	{ { "panic", PC_REASON_PANIC },
	  { "panic,oops", PC_REASON_PANIC | PC_REASON_OOPS },
	  { "panic,lockup", PC_REASON_PANIC | PC_REASON_LOCKUP },
	  { "panic,oops,lockup", PC_REASON_PANIC | PC_REASON_SURVIVED } },
};
module_param_cb(reasons, &words_ops, (void *)&reasons_words, 0644);
MODULE_PARM_DESC(reasons, "what is reported: panic, with oops, with lockup, with both (panic)");

/* --- iface, tag ---------------------------------------------------------- */

static int iface_set(const char *val, const struct kernel_param *kp)
{
	struct pc_config *edited = pc_config_edit();
	char *list, *next, *name;
	int err = 0;

	if (copy_text(edited->iface, sizeof(edited->iface), val))
		return refuse(kp, val, "a list of at most 255 characters");
	if (!edited->iface[0])
		return pc_params_put_in_force(edited);

	list = kstrdup(edited->iface, GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	next = list;
	while (!err && (name = strsep(&next, ",")))
		if (!dev_valid_name(name + (*name == '!')))
			err = refuse(kp, val,
				     "a list of names such as eth0,eth1 or en*,!enx*");
	kfree(list);
	return err ? err : pc_params_put_in_force(edited);
}

static int iface_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", pc_config()->iface);
}

static const struct kernel_param_ops iface_ops = {
	.set = iface_set,
	.get = iface_get,
};
module_param_cb(iface, &iface_ops, NULL, 0644);
MODULE_PARM_DESC(iface, "interfaces to send on, such as eth0,en*,!enx*; empty: every card that is not USB, wireless or public");

static int tag_set(const char *val, const struct kernel_param *kp)
{
	struct pc_config *edited = pc_config_edit();
	char clean[PC_TAG];

	if (copy_text(edited->tag, sizeof(edited->tag), val))
		return refuse(kp, val, "a text of at most 127 bytes");
	pc_wire_value(clean, sizeof(clean), edited->tag);
	if (strcmp(clean, edited->tag))
		return refuse(kp, val,
			      "UTF-8 text without control characters or a blank at its end");
	return pc_params_put_in_force(edited);
}

static int tag_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", pc_config()->tag);
}

static const struct kernel_param_ops tag_ops = {
	.set = tag_set,
	.get = tag_get,
};
module_param_cb(tag, &tag_ops, NULL, 0644);
MODULE_PARM_DESC(tag, "text that goes with every record, such as rack=r7");

static const struct number key_id_number = {
	offsetof(struct pc_config, key_id), 1, 255
};
module_param_cb(key_id, &number_ops, (void *)&key_id_number, 0444);
MODULE_PARM_DESC(key_id, "number of the key, as in the receivers' file of keys (1)");

/* --- addresses ----------------------------------------------------------- */

/* Whether an address is one that records can be sent to. */
static bool dest_parse(const char *text, size_t len, struct pc_dest *dest)
{
	const char *end = NULL;

	*dest = (struct pc_dest) { };
	if (in4_pton(text, len, (u8 *)&dest->ip.v4, -1, &end) &&
	    end == text + len)
		return dest->ip.v4 && !ipv4_is_loopback(dest->ip.v4);
	dest->ipv6 = true;
	/* a link-local one does not say on which link */
	return in6_pton(text, len, (u8 *)&dest->ip.v6, -1, &end) &&
	       end == text + len && !ipv6_addr_any(&dest->ip.v6) &&
	       !ipv6_addr_loopback(&dest->ip.v6) &&
	       !ipv6_addr_v4mapped(&dest->ip.v6) &&
	       !(ipv6_addr_type(&dest->ip.v6) & IPV6_ADDR_LINKLOCAL &&
		 !ipv6_addr_is_multicast(&dest->ip.v6));
}

static int dest_set(const char *val, const struct kernel_param *kp)
{
	struct pc_config *edited = pc_config_edit();
	const char *end = val + strcspn(val, "\n");
	unsigned int n = 0;
	size_t len;

	do {
		len = min_t(size_t, strcspn(val, ","), end - val);
		if (n == PC_DESTS || !dest_parse(val, len, &edited->dest[n]))
			return refuse(kp, val,
				      "one to four addresses with commas between them, such as 255.255.255.255 or 10.1.2.3,2001:db8::7, none of them link-local");
		n++;
		val += len + 1;
	} while (val <= end);
	edited->dests = n;
	return pc_params_put_in_force(edited);
}

static int dest_get(char *buf, const struct kernel_param *kp)
{
	const struct pc_config *cfg = pc_config();
	unsigned int i;
	int len = 0;

	for (i = 0; i < cfg->dests; i++) {
		len += pc_dest_print(buf + len, PAGE_SIZE - len, &cfg->dest[i]);
		len += sysfs_emit_at(buf, len, "%c",
				     i + 1 < cfg->dests ? ',' : '\n');
	}
	return len;
}

static const struct kernel_param_ops dest_ops = {
	.set = dest_set,
	.get = dest_get,
};
module_param_cb(dest, &dest_ops, NULL, 0644);
MODULE_PARM_DESC(dest,
		 "addresses of the receivers, at most four, IPv4 or IPv6 (255.255.255.255)");

static int dest_mac_set(const char *val, const struct kernel_param *kp)
{
	struct pc_config *edited;
	u8 mac[ETH_ALEN];

	if (strcspn(val, "\n") != 3 * ETH_ALEN - 1 || !mac_pton(val, mac) ||
	    is_zero_ether_addr(mac))
		return refuse(kp, val,
			      "a MAC address such as ff:ff:ff:ff:ff:ff");
	edited = pc_config_edit();
	ether_addr_copy(edited->dest_mac, mac);
	return pc_params_put_in_force(edited);
}

static int dest_mac_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%pM\n", pc_config()->dest_mac);
}

static const struct kernel_param_ops dest_mac_ops = {
	.set = dest_mac_set,
	.get = dest_mac_get,
};
module_param_cb(dest_mac, &dest_mac_ops, NULL, 0644);
MODULE_PARM_DESC(dest_mac,
		 "MAC address for broadcasts, and where no next hop is known (ff:ff:ff:ff:ff:ff)");
