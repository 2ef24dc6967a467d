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
 * struct pc_draft - memory for one record, taken before it is needed
 * @rec: the record
 * @cfg: the configuration that it is sent with
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
