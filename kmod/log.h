/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_LOG_H
#define PANICAST_LOG_H

#include <linux/types.h>

/*
 * Bytes that the reader needs beyond the text that is asked for.  A message
 * with a prefix on each of its lines is shorter than this.  So text that
 * reaches into the slack shows that the log has older messages.
 */
#define PC_LOG_SLACK	8192

/**
 * struct pc_log_text - whole lines of the kernel log, as syslog(2) gives them
 * @start: the first; not terminated
 * @len: bytes of them
 * @older: the log has text before them
 * @newer: the log has text after them
 */
struct pc_log_text {
	const char *start;
	size_t len;
	bool older;
	bool newer;
};

void pc_log_init(void);
void pc_log_exit(void);
const char *pc_log_source(void);
const char *pc_log_said(const char *line, const char *end);
void pc_log_read(char *buf, size_t limit, const char *about,
		 struct pc_log_text *text);

#endif
