/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_SEAL_H
#define PANICAST_SEAL_H

#include <linux/types.h>

#define PC_SEAL_KEY	32
#define PC_SEAL_TAG	16

struct pc_config;

int pc_seal_init(void);
void pc_seal_exit(void);
int pc_seal_get(void);
size_t pc_seal(u8 *datagram, size_t len, const struct pc_config *cfg);
bool pc_seal_open(u8 *answer, size_t len);

/* Of panicast_seal.ko; looked up with symbol_get(), only when there is a key. */
size_t panicast_seal(u8 *datagram, size_t len, const u8 *key);
bool panicast_open(u8 *answer, size_t len, const u8 *key);

#endif
