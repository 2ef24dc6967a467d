/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_RECORD_H
#define PANICAST_RECORD_H

#include <linux/inet.h>

#include "config.h"
#include "iface.h"
#include "seal.h"
#include "wire.h"

/* How the kernel's line about a panic begins. */
#define PC_PANIC_LINE	"Kernel panic - not syncing"

/**
 * struct pc_kept - what was kept of a crash before this boot
 * @type: PC_WIRE_PANIC or PC_WIRE_OOPS
 * @by: who kept it
 * @time_ns: when it was
 * @boot_known: whether @boot_id is that of the boot that crashed
 * @boot_id: it
 * @text: the log's
 * @len: bytes of it
 */
struct pc_kept {
	enum pc_wire_type type;
	char by[16];
	u64 time_ns;
	bool boot_known;
	u8 boot_id[PC_WIRE_BOOT_ID];
	const char *text;
	size_t len;
};

/**
 * struct pc_draft - memory for one record, taken before it is needed
 * @rec: the record
 * @cfg: the configuration that it is sent with
 * @kept: whose text it has, NULL for that of the running kernel
 * @about: the beginning of a line that the log's text must have, NULL for none
 * @datagram: the one that is being sent
 * @meta: payload of seq 0
 * @mac, @taint, @addr, @unresolved: values in @meta while it is put together
 * @size: bytes in @log
 * @log: what was read of the kernel log; @rec.text points into it
 */
struct pc_draft {
	struct pc_wire_record rec;
	const struct pc_config *cfg;
	const struct pc_kept *kept;
	const char *about;
	u8 datagram[PC_WIRE_HEADER + PC_WIRE_CHUNK + PC_SEAL_TAG]
		__aligned(sizeof(u64));
	char meta[PC_WIRE_CHUNK];
	char mac[sizeof("00:00:00:00:00:00")];
	char taint[32];
	char addr[INET6_ADDRSTRLEN];
	char unresolved[PC_DESTS * INET6_ADDRSTRLEN];
	size_t size;
	char log[];
};

struct pc_draft *pc_draft_alloc(size_t text);
void pc_draft_free(struct pc_draft *draft);
bool pc_record_compose(struct pc_draft *draft, enum pc_slot slot,
		       enum pc_wire_type type, const char *reason);
size_t pc_record_datagram(struct pc_draft *draft, unsigned int seq);

#endif
