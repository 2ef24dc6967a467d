/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_FRAME_H
#define PANICAST_FRAME_H

#include <linux/skbuff.h>

#include "config.h"
#include "iface.h"
#include "wire.h"

#define PC_FRAME_RAW	1024
#define PC_FRAME_RAW_PROTOCOL 255

void pc_frame_v1(struct sk_buff *skb, const struct pc_iface *iface,
		 const struct pc_way *way, const struct pc_config *cfg,
		 const u8 *datagram, size_t len);
void pc_frame_raw(struct sk_buff *skb, const struct pc_iface *iface,
		  const struct pc_way *way, const struct pc_wire_record *rec);

#endif
