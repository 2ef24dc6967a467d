/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_XMIT_H
#define PANICAST_XMIT_H

#include "record.h"

unsigned int pc_xmit_last_words(struct pc_draft *draft, enum pc_slot slot,
				enum pc_wire_type type, const char *reason);

#endif
