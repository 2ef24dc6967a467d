/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_LIVE_H
#define PANICAST_LIVE_H

#include "answer.h"
#include "wire.h"

/* How long a record may wait for cards while RTNL is held. */
#define PC_LIVE_RTNL_MS	10

struct pc_kept;
struct pc_live;

struct pc_live *pc_live_prepare(enum pc_wire_type type, const char *reason);
struct pc_live *pc_live_prepare_kept(const struct pc_kept *kept);
const struct pc_asked *pc_live_asked(const struct pc_live *live);
int pc_live_send(struct pc_live *live);
int pc_live_send_within(struct pc_live *live, unsigned int ms);

#endif
