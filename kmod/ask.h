/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_ASK_H
#define PANICAST_ASK_H

int pc_ask(const char *reason);
int pc_ask_show(char *buf);

#endif
