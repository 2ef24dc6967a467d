/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_KEPT_H
#define PANICAST_KEPT_H

int pc_kept_init(void);
void pc_kept_exit(void);

#endif
