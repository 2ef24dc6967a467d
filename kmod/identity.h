/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_IDENTITY_H
#define PANICAST_IDENTITY_H

#include "wire.h"

void pc_identity_stamp(struct pc_wire_record *rec);
void pc_identity_stamp_kept(struct pc_wire_record *rec, const u8 *boot_id);
void pc_identity_image(bool exists);
void pc_identity_renew(void);
int pc_identity_init(void);
void pc_identity_exit(void);

#endif
