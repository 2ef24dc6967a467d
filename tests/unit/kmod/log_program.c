// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log_program LIMIT ABOUT [patched|failing] < messages, each with a NUL behind it: the flags "older newer", a
 * newline, the text.  Without a third word it is a stock kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "log_userspace.h"
#include "log.h"

struct message messages[4096];
size_t count;

static bool failing;

int kernel_log_buffer(char *buf, int max_len)
{
	return failing ? -ENOMEM : (int)compat_kmsg_newest(buf, max_len);
}

int main(int argc, char **argv)
{
	static char all[1 << 22];
	size_t got = fread(all, 1, sizeof(all), stdin), at, limit;
	struct pc_log_text text;
	char *buf;

	if (argc < 3)
		return 2;
	if (argc == 4) {
		failing = !strcmp(argv[3], "failing");
		pc_log_init();
	}
	for (at = 0; at < got; at += messages[count++].len + 1)
		messages[count] = (struct message){ all + at, strlen(all + at) };
	limit = strtoul(argv[1], NULL, 10);
	/* just as much as there is in a draft: the sanitizer sees what is written behind it */
	buf = malloc(limit + PC_LOG_SLACK);
	pc_log_read(buf, limit, argv[2][0] ? argv[2] : NULL, &text);
	printf("%d %d\n", text.older, text.newer);
	fwrite(text.start, 1, text.len, stdout);
	free(buf);
	return 0;
}
