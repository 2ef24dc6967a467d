/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_PANIC_H
#define PANICAST_PANIC_H

int pc_panic_config_changed(void);
int pc_panic_init(void);
void pc_panic_exit(void);
void pc_panic_survived(const char *reason, const char *line);

#endif
