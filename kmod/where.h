/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_WHERE_H
#define PANICAST_WHERE_H

#include <linux/types.h>

#include "iface.h"

void pc_where_note(enum pc_slot slot);
bool pc_where_calls(enum pc_slot slot, const char *what);
bool pc_where_calls_any(enum pc_slot slot, const char * const *parts);
bool pc_where_stopped_by_nmi(void);

#endif
