/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parity frames.  Like wire.h this compiles in user space too, where the tests
 * compare it with the recorded vectors.
 */
#ifndef PANICAST_PARITY_H
#define PANICAST_PARITY_H

#include "wire.h"

/* Source frames of a block, at most, and parity frames of it. */
#define PC_PARITY_BLOCK	128

unsigned int pc_parity_count(unsigned int count, unsigned int percent);
size_t pc_parity_frame(const struct pc_wire_record *rec, unsigned int nr,
		       u8 *out);

#endif
