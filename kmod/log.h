/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_LOG_H
#define PANICAST_LOG_H

#include <linux/types.h>

/*
 * What the reader wants beyond the text that is asked for.  One message with
 * a prefix on each of its lines is shorter than this, so text that reaches
 * into the slack shows that the log has older messages.
 */
#define PC_LOG_SLACK	8192

void pc_log_init(void);
void pc_log_exit(void);
const char *pc_log_source(void);
const char *pc_log_newest(char *buf, size_t size, size_t limit, size_t *len,
			  bool *older);

#endif
