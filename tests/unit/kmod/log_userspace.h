/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kmod/log.c takes from a kernel, over a log of messages that a test made up. */
#ifndef LOG_USERSPACE_H
#define LOG_USERSPACE_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))

int kernel_log_buffer(char *buf, int max_len);
/* a patched kernel has it; to a stock kernel's module, pc_log_init() is as if it had not run */
#define symbol_get(name) (name)
#define symbol_put(name) ((void)0)

struct message {
	const char *text;
	size_t len;
};

extern struct message messages[];
extern size_t count;

struct compat_log_place {
	size_t next;
};

static inline void compat_log_begin(struct compat_log_place *place)
{
	place->next = 0;
}

static inline bool compat_log_line_then(struct compat_log_place *place, char *line, size_t size,
					size_t *len)
{
	if (place->next == count)
		return false;
	*len = min(messages[place->next].len, size);
	memcpy(line, messages[place->next++].text, *len);
	return true;
}

/* As kmsg_dump_get_buffer(): the newest messages that fit whole. */
static inline size_t compat_kmsg_newest(char *buf, size_t size)
{
	size_t i, first = count, len = 0;

	while (first && len + messages[first - 1].len < size)
		len += messages[--first].len;
	for (i = first; i < count; i++) {
		memcpy(buf, messages[i].text, messages[i].len);
		buf += messages[i].len;
	}
	return len;
}

#endif
