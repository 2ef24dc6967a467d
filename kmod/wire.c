// SPDX-License-Identifier: GPL-2.0-only
/*
 * The v1 encoder.  It runs after a panic: no allocation, no lock, no printf.
 */
#include "wire.h"

static u8 *put16(u8 *p, u16 v)
{
	p[0] = v >> 8;
	p[1] = v;
	return p + 2;
}

static u8 *put32(u8 *p, u32 v)
{
	return put16(put16(p, v >> 16), v);
}

static u8 *put64(u8 *p, u64 v)
{
	return put32(put32(p, v >> 32), v);
}

/* The length of the UTF-8 character at @s, 0 if there is none. */
static size_t utf8_char(const u8 *s)
{
	size_t len, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;

	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;

	/* overlong forms, surrogates, and what lies beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/**
 * pc_wire_value() - copy a string so that it can stand in a metadata line
 * @dst: where to, always terminated
 * @size: bytes there, at least 1
 * @src: anything, such as a task's name; NULL is an empty string
 *
 * Control characters become spaces, bytes that are not UTF-8 become question
 * marks, and blanks at the end are left out.  A string that doesn't fit is cut
 * between two characters.
 *
 * Return: bytes written, without the NUL
 */
size_t pc_wire_value(char *dst, size_t size, const char *src)
{
	const u8 *s = (const u8 *)src;
	size_t len = 0;

	while (s && *s) {
		size_t n = utf8_char(s);

		if (len + (n ? n : 1) >= size)
			break;
		if (!n) {
			dst[len++] = '?';
			s++;
		} else if (*s < 0x20 || *s == 0x7f) {
			dst[len++] = ' ';
			s++;
		} else {
			memcpy(dst + len, s, n);
			len += n;
			s += n;
		}
	}
	while (len && dst[len - 1] == ' ')
		len--;
	dst[len] = '\0';
	return len;
}

/* Appends "key=value\n", the value cut to @room - 1 bytes, or nothing at all. */
static size_t put_cut(char *buf, size_t size, size_t len, const char *key,
		      const char *value, size_t room)
{
	size_t key_len = strlen(key), value_len = value ? strlen(value) : 0;

	if (value_len >= room)
		value_len = room - 1;
	/* '=', '\n' and the NUL that pc_wire_value() leaves behind */
	if (len + key_len + value_len + 3 > size)
		return len;
	memcpy(buf + len, key, key_len);
	len += key_len;
	buf[len++] = '=';
	len += pc_wire_value(buf + len, value_len + 1, value);
	buf[len++] = '\n';
	return len;
}

/* A line that doesn't fit is left out whole. */
static size_t put_line(char *buf, size_t size, size_t len, const char *key,
		       const char *value)
{
	return put_cut(buf, size, len, key, value, size + 1);
}

static size_t put_number(char *buf, size_t size, size_t len, const char *key,
			 u64 value)
{
	char digits[21];
	char *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do {
		u32 rest;

		value = div_u64_rem(value, 10, &rest);
		*--p = '0' + rest;
	} while (value);

	return put_line(buf, size, len, key, p);
}

/* Writes a number of the machine's state, which is not known of an earlier boot. */
static size_t put_state(const struct pc_wire_meta *meta, char *buf, size_t size,
			size_t len, const char *key, u64 value)
{
	if (meta->kept)
		return put_line(buf, size, len, key, NULL);
	return put_number(buf, size, len, key, value);
}

/* Writes the metadata with the reason cut to @room - 1 bytes. */
static size_t put_all(const struct pc_wire_meta *meta, char *buf, size_t size,
		      size_t room)
{
	size_t len = 0;

	len = put_line(buf, size, len, "host", meta->host);
	len = put_line(buf, size, len, "release", meta->release);
	len = put_line(buf, size, len, "version", meta->version);
	len = put_line(buf, size, len, "machine", meta->machine);
	len = put_line(buf, size, len, "iface", meta->iface);
	len = put_line(buf, size, len, "mac", meta->mac);
	len = put_cut(buf, size, len, "reason", meta->reason, room);
	len = put_state(meta, buf, size, len, "uptime_ns", meta->uptime_ns);
	len = put_state(meta, buf, size, len, "cpu", meta->cpu);
	len = put_state(meta, buf, size, len, "pid", meta->pid);
	len = put_line(buf, size, len, "comm", meta->comm);
	len = put_line(buf, size, len, "taint", meta->taint);
	len = put_line(buf, size, len, "module", meta->module);
	len = put_line(buf, size, len, "tag", meta->tag);
	if (meta->addr)
		len = put_line(buf, size, len, "addr", meta->addr);
	if (meta->unresolved)
		len = put_line(buf, size, len, "unresolved", meta->unresolved);
	if (meta->kept)
		len = put_line(buf, size, len, "kept", meta->kept);
	return len;
}

/**
 * pc_wire_meta() - the payload of seq 0
 * @meta: the values
 * @buf: where to; not terminated
 * @size: bytes there
 *
 * The reason is cut if the rest would not fit otherwise.
 *
 * Return: bytes written
 */
size_t pc_wire_meta(const struct pc_wire_meta *meta, char *buf, size_t size)
{
	size_t rest = size - put_all(meta, buf, size, 1);

	return put_all(meta, buf, size, rest ? rest : 1);
}

/**
 * pc_wire_count() - frames of a record, the one with the metadata included
 * @text_len: bytes of text
 * @chunk: payload bytes of one frame
 */
unsigned int pc_wire_count(size_t text_len, unsigned int chunk)
{
	return 1 + (text_len + chunk - 1) / chunk;
}

/**
 * pc_wire_payload() - find what a source frame holds
 * @rec: the record
 * @seq: which frame of it; 0 holds the metadata, 1 the end of the text
 * @len: set to its bytes
 */
const char *pc_wire_payload(const struct pc_wire_record *rec, unsigned int seq,
			    size_t *len)
{
	size_t end;

	if (!seq) {
		*len = rec->meta_len;
		return rec->meta;
	}
	end = rec->text_len - (size_t)(seq - 1) * rec->chunk;
	*len = end < rec->chunk ? end : rec->chunk;
	return rec->text + end - *len;
}

/** pc_wire_longest() - bytes of the longest payload of a record's source frames */
size_t pc_wire_longest(const struct pc_wire_record *rec)
{
	size_t text = rec->text_len < rec->chunk ? rec->text_len : rec->chunk;

	return text > rec->meta_len ? text : rec->meta_len;
}

/**
 * pc_wire_header() - the PC_WIRE_HEADER bytes before a payload
 * @rec: the record
 * @seq: the frame's number
 * @offset: what the header says of where the payload belongs
 * @out: where to
 *
 * Return: where the payload belongs
 */
u8 *pc_wire_header(const struct pc_wire_record *rec, unsigned int seq,
		   size_t offset, u8 *out)
{
	u8 *p = out;

	memcpy(p, "PCST", 4);
	p += 4;
	*p++ = 1;
	*p++ = rec->type;
	*p++ = rec->flags;
	*p++ = rec->key_id;
	memcpy(p, rec->boot_id, PC_WIRE_BOOT_ID);
	p += PC_WIRE_BOOT_ID;
	p = put32(p, rec->event);
	p = put16(p, seq);
	p = put16(p, pc_wire_count(rec->text_len, rec->chunk));
	p = put32(p, offset);
	p = put32(p, rec->text_len);
	p = put64(p, rec->time_ns);
	memcpy(p, rec->host, PC_WIRE_HOST);
	return p + PC_WIRE_HOST;
}

/**
 * pc_wire_frame() - make a source datagram: header and payload
 * @rec: the record
 * @seq: which frame of it
 * @out: PC_WIRE_HEADER + @rec->chunk bytes
 *
 * Return: bytes written
 */
size_t pc_wire_frame(const struct pc_wire_record *rec, unsigned int seq, u8 *out)
{
	size_t len;
	const char *payload = pc_wire_payload(rec, seq, &len);

	memcpy(pc_wire_header(rec, seq, seq ? payload - rec->text : 0, out),
	       payload, len);
	return PC_WIRE_HEADER + len;
}
