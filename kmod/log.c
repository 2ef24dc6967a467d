// SPDX-License-Identifier: GPL-2.0-only
/*
 * The newest lines of the kernel log, in any context.
 */
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "log.h"

/* An oops, with registers and stack, is shorter. */
#define LEAD	8192

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
 * pc_log_said() - the text of a line, without its level and time
 * @line: "<4>[   12.345678] text", with or without the time
 * @end: behind it
 *
 * Return: the text; NULL where user space wrote it, which has other facilities
 */
const char *pc_log_said(const char *line, const char *end)
{
	if (end - line < 3 || line[0] != '<' || line[1] < '0' ||
	    line[1] > '7' || line[2] != '>')
		return NULL;
	line += 3;
	while (line < end && (*line == '[' || *line == ' ')) {
		if (*line == '[')
			line = memchr(line, ']', end - line) ?: end - 1;
		line++;
	}
	return line;
}

static bool begins(const char *line, const char *end, const char *about)
{
	const char *text = pc_log_said(line, end);
	size_t len = strlen(about);

	return text && end - text >= len && !memcmp(text, about, len);
}

static void read_newest(char *buf, size_t limit, struct pc_log_text *text)
{
	const char *end, *start = buf;
	size_t got;

	if (log_buffer)
		got = max(log_buffer(buf, limit + PC_LOG_SLACK), 0);
	else
		got = compat_kmsg_newest(buf, limit + PC_LOG_SLACK);

	end = buf + got;
	text->newer = false;
	text->older = got > limit;
	if (text->older) {
		start = memchr(end - limit, '\n', limit);
		start = start ? start + 1 : end - limit;
		/* the limit may fall just between two lines */
		if (end[-(ssize_t)limit - 1] == '\n')
			start = end - limit;
	}
	text->start = start;
	text->len = end - start;
}

/* Whether the text has a line that begins so, with enough of what led to it. */
static bool tells(const struct pc_log_text *text, const char *about,
		  size_t lead)
{
	const char *line = text->start, *end = text->start + text->len;

	if (!text->older)
		return true;
	for (line += min(lead, text->len); line < end; line++) {
		const char *stop = memchr(line, '\n', end - line) ?: end;

		if (begins(line, stop, about))
			return true;
		line = stop;
	}
	return false;
}

/*
 * Reads text from what led to the last line that begins so.  Goes through the
 * log twice, message by message, up to its present end.
 */
static void read_from(char *buf, size_t limit, const char *about, size_t lead,
		      struct pc_log_text *text)
{
	struct compat_log_place place;
	size_t all = 0, at = 0, seen = 0, len = 0, got;
	bool found = false;

	compat_log_begin(&place);
	while (compat_log_line_then(&place, buf, limit + PC_LOG_SLACK, &got)) {
		if (begins(buf, buf + got, about)) {
			found = true;
			at = all;
		}
		all += got;
	}
	at -= min(lead, at);
	if (!found || all - at <= limit) {
		read_newest(buf, limit, text);
		return;
	}

	compat_log_begin(&place);
	while (compat_log_line_then(&place, buf + len,
				    limit + PC_LOG_SLACK - len, &got)) {
		if (seen >= at) {
			if (len + got > limit)
				break;
			len += got;
		}
		seen += got;
	}
	text->start = buf;
	text->len = len;
	text->older = at;
	text->newer = true;
}

/**
 * pc_log_read() - the newest whole lines of the kernel log, in any context
 * @buf: where the lines will lie, @limit + PC_LOG_SLACK bytes
 * @limit: how much text is wanted at most
 * @about: the beginning of a line that must not be missing; NULL for none
 * @text: what was read
 *
 * The kernel may say much after that line: the stacks of 256 CPUs.  Then the
 * newest lines are left out, not that line or the oops that led to it.
 */
void pc_log_read(char *buf, size_t limit, const char *about,
		 struct pc_log_text *text)
{
	size_t lead = min_t(size_t, LEAD, limit / 2);

	read_newest(buf, limit, text);
	if (about && !tells(text, about, lead))
		read_from(buf, limit, about, lead, text);
}
