/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_CONFIG_H
#define PANICAST_CONFIG_H

#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/types.h>

#include "seal.h"

#define PC_IFACE_LIST	256
#define PC_TAG		128
#define PC_DESTS	4

/*
 * The longest that sending may wait for one interface whose ring is full or
 * stuck, over all passes.  With drain_ms, spread_ms and the gaps it is the
 * bound on what a panic costs before the machine may reboot.
 */
#define PC_STALL_MS	400

enum pc_format {
	PC_FORMAT_V1,
	PC_FORMAT_RAW,
};

#define PC_REASON_PANIC	BIT(0)
#define PC_REASON_OOPS	BIT(1)
#define PC_REASON_LOCKUP	BIT(2)
/* What the machine lives on after. */
#define PC_REASON_SURVIVED	(PC_REASON_OOPS | PC_REASON_LOCKUP)

union pc_ip {
	__be32 v4;
	struct in6_addr v6;
};

/* Where to. */
struct pc_dest {
	bool ipv6;
	union pc_ip ip;
};

/**
 * struct pc_config - what the administrator asked for
 * @iface: comma list of names and patterns; empty: see choice.c
 * @dest: where to
 * @dests: how many of them there are
 * @dest_mac: Ethernet destination of broadcasts, and where no next hop is known
 * @port: UDP destination port
 * @source_port: UDP source port
 * @format: enum pc_format
 * @kib: KiB of the newest kernel log in a record
 * @repeat: how often a record is sent
 * @parity: parity frames for each hundred frames of a record
 * @spread_ms: pause in a crash between the frames of a record and their parity
 * @gap_us: pause between two frames
 * @drain_ms: how long to wait for the interfaces to have sent the frames
 * @bust_locks: free transmit queues by force, as the last resort
 * @hello_s: seconds between two hellos; 0: none
 * @reasons: PC_REASON_*
 * @tag: free text that goes with every record
 * @key_awaited: send nothing until there is a @key
 * @sealed: whether there is a @key to seal the frames with
 * @key_id: by which receivers know the key
 * @key: never shown to anyone
 *
 * Never changed in place: a panic may read it at any moment.
 */
struct pc_config {
	char iface[PC_IFACE_LIST];
	struct pc_dest dest[PC_DESTS];
	unsigned int dests;
	u8 dest_mac[ETH_ALEN];
	unsigned int port;
	unsigned int source_port;
	unsigned int format;
	unsigned int kib;
	unsigned int repeat;
	unsigned int parity;
	unsigned int spread_ms;
	unsigned int gap_us;
	unsigned int drain_ms;
	unsigned int bust_locks;
	unsigned int hello_s;
	unsigned int reasons;
	char tag[PC_TAG];
	bool key_awaited;
	bool sealed;
	unsigned int key_id;
	u8 key[PC_SEAL_KEY];
};

const struct pc_config *pc_config(void);
struct pc_config *pc_config_edit(void);
void pc_config_publish(struct pc_config *edited);
void pc_config_retire(void);
void pc_config_forget_key(void);

bool pc_dest_everywhere(const struct pc_dest *dest);
size_t pc_dest_print(char *buf, size_t size, const struct pc_dest *dest);
bool pc_config_ipv6(const struct pc_config *cfg);

#endif
