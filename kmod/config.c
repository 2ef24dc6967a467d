// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration in force.  There are two copies.  Readers, a panic among
 * them, follow a pointer; a writer fills the other copy and moves the pointer.
 */
#include <linux/compiler.h>
#include <linux/inet.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <net/ipv6.h>

#include "config.h"

static struct pc_config copies[2] = {
	{
		.dest = { { .ip.v4 = htonl(INADDR_BROADCAST) } },
		.dests = 1,
		.dest_mac = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		.port = 6664,
		.source_port = 6665,
		.format = PC_FORMAT_V1,
		.kib = 64,
		.repeat = 1,
		.parity = 100,
		.spread_ms = 10,
		.gap_us = 0,
		.drain_ms = 200,
		.bust_locks = 1,
		.hello_s = 300,
		.reasons = PC_REASON_PANIC,
		.key_id = 1,
	},
};

static struct pc_config *current_config = &copies[0];

/**
 * pc_config() - the configuration in force
 *
 * Stays valid under rcu_read_lock(), RTNL or the module's parameter lock, and in
 * a panic.
 */
const struct pc_config *pc_config(void)
{
	return READ_ONCE(current_config);
}

static struct pc_config *spare(void)
{
	return &copies[current_config == &copies[0]];
}

/**
 * pc_config_edit() - return a copy to change, to be published and retired
 *
 * The caller holds the module's parameter lock until then.
 */
struct pc_config *pc_config_edit(void)
{
	*spare() = *current_config;
	return spare();
}

/** pc_config_publish() - put an edited copy in force */
void pc_config_publish(struct pc_config *edited)
{
	/* whoever sees the pointer sees what it points to */
	smp_store_release(&current_config, edited);
}

/**
 * pc_config_retire() - leave no key in the copy that is not in force
 *
 * After each edit, whether it was published or not.  The caller has held RTNL
 * since it was published, and so is behind all who read the other one there.
 */
void pc_config_retire(void)
{
	/* whoever still reads the copy that was in force before this one */
	synchronize_rcu();
	memzero_explicit(spare()->key, sizeof(spare()->key));
}

/**
 * pc_config_forget_key() - leave no trace of the key in memory
 *
 * The caller holds the module's parameter lock; nobody sends any more.
 */
void pc_config_forget_key(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(copies); i++) {
		copies[i].sealed = false;
		memzero_explicit(copies[i].key, sizeof(copies[i].key));
	}
}

/** pc_dest_everywhere() - for all on a segment, by whichever interface */
bool pc_dest_everywhere(const struct pc_dest *dest)
{
	if (dest->ipv6)
		return ipv6_addr_is_multicast(&dest->ip.v6);
	return ipv4_is_lbcast(dest->ip.v4) || ipv4_is_multicast(dest->ip.v4);
}

/** pc_dest_print() - a destination as text; returns its bytes */
size_t pc_dest_print(char *buf, size_t size, const struct pc_dest *dest)
{
	if (dest->ipv6)
		return scnprintf(buf, size, "%pI6c", &dest->ip.v6);
	return scnprintf(buf, size, "%pI4", &dest->ip.v4);
}

/** pc_config_ipv6() - whether one of the destinations is IPv6 */
bool pc_config_ipv6(const struct pc_config *cfg)
{
	unsigned int i;

	for (i = 0; i < cfg->dests; i++)
		if (cfg->dest[i].ipv6)
			return true;
	return false;
}
