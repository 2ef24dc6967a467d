// SPDX-License-Identifier: GPL-2.0-only
/*
 * The newest lines of the kernel log, in any context.
 */
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "log.h"

static int (*log_buffer)(char *buf, int max_len);

/** pc_log_init() - find out what the running kernel offers */
void pc_log_init(void)
{
	log_buffer = symbol_get(kernel_log_buffer);
}

/** pc_log_exit() - the opposite of pc_log_init() */
void pc_log_exit(void)
{
	if (log_buffer)
		symbol_put(kernel_log_buffer);
}

/** pc_log_source() - what the log is read with */
const char *pc_log_source(void)
{
	return log_buffer ? "kernel_log_buffer" : "kmsg_dump";
}

/**
 * pc_log_newest() - the newest whole lines of the kernel log
 * @buf: scratch space that the lines will lie in
 * @size: its bytes, PC_LOG_SLACK of which are for the reader
 * @limit: how much text is wanted at most
 * @len: bytes of the text
 * @older: whether the log has text that is older
 *
 * Return: the text, as syslog(2) gives it; not terminated
 */
const char *pc_log_newest(char *buf, size_t size, size_t limit, size_t *len,
			  bool *older)
{
	char *end, *start = buf;
	size_t got;

	size = min(size, limit + PC_LOG_SLACK);
	if (log_buffer)
		got = max(log_buffer(buf, size), 0);
	else
		got = compat_kmsg_newest(buf, size);

	end = buf + got;
	*older = got > limit;
	if (*older) {
		start = memchr(end - limit, '\n', limit);
		start = start ? start + 1 : end - limit;
		/* the limit may fall just between two lines */
		if (end[-(ssize_t)limit - 1] == '\n')
			start = end - limit;
	}
	*len = end - start;
	return start;
}
