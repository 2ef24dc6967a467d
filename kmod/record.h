/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_RECORD_H
#define PANICAST_RECORD_H

#include "config.h"
#include "iface.h"
#include "wire.h"

/**
 * struct pc_draft - memory for one record, taken before it is needed
 * @rec: the record
 * @cfg: the configuration that it is sent with
 * @meta: payload of seq 0
 * @iface, @mac, @taint: values in @meta while it is put together
 * @size: bytes in @log
 * @log: what was read of the kernel log; @rec.text points into it
 */
struct pc_draft {
	struct pc_wire_record rec;
	const struct pc_config *cfg;
	char meta[PC_WIRE_CHUNK];
	char iface[160];
	char mac[160];
	char taint[32];
	size_t size;
	char log[];
};

void pc_record_init(void);
struct pc_draft *pc_draft_alloc(size_t text);
void pc_draft_free(struct pc_draft *draft);
void pc_record_compose(struct pc_draft *draft, enum pc_slot slot,
		       enum pc_wire_type type, const char *reason);

#endif
