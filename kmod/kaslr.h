/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_KASLR_H
#define PANICAST_KASLR_H

#include <linux/types.h>

void pc_kaslr_init(void);
size_t pc_kaslr_line(char *buf, size_t size);

#endif
