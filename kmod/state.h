/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_STATE_H
#define PANICAST_STATE_H

int pc_state_init(void);
void pc_state_exit(void);

#endif
