/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a receiver answers to a test.  Like wire.h this compiles in user space,
 * too.  docs/wire.md has the layout.
 */
#ifndef PANICAST_ANSWER_H
#define PANICAST_ANSWER_H

#include "wire.h"

#define PC_ANSWER_HEADER	80
#define PC_ANSWER_NAME		64
#define PC_ANSWER_TAG		16
#define PC_ANSWER_MOST		(PC_ANSWER_HEADER + PC_ANSWER_NAME + PC_ANSWER_TAG)
/* Where in the header the event and the receiver's random bytes are. */
#define PC_ANSWER_EVENT		24
#define PC_ANSWER_EVENT_LEN	4
#define PC_ANSWER_SALT		32
#define PC_ANSWER_SALT_LEN	16

/**
 * struct pc_asked - the test that is to be answered
 * @boot_id: of the record
 * @event: of the record
 * @flags: of the record, of which PC_WIRE_F_SEALED counts
 * @key_id: of the record
 * @host: of the record
 */
struct pc_asked {
	u8 boot_id[PC_WIRE_BOOT_ID];
	u32 event;
	u8 flags;
	u8 key_id;
	char host[PC_WIRE_HOST];
};

/**
 * struct pc_answer - what it says
 * @frames: frames that hold the record
 * @restored: how many of them were lost, and came back by parity
 * @name: of the receiver; not cleaned
 */
struct pc_answer {
	unsigned int frames;
	unsigned int restored;
	char name[PC_ANSWER_NAME + 1];
};

bool pc_answer_is_to(const struct pc_asked *asked, const u8 *data, size_t len);
void pc_answer_read(const u8 *data, size_t len, struct pc_answer *answer);

#endif
