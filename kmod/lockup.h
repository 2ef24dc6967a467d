/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_LOCKUP_H
#define PANICAST_LOCKUP_H

int pc_lockup_config_changed(void);
int pc_lockup_init(void);
void pc_lockup_exit(void);

#endif
