/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The v1 encoder: bytes in, bytes out.  It needs nothing of a kernel but the
 * names of its types.  So it compiles in user space too, where the tests
 * compare it with the recorded vectors (with tests/unit/kmod/userspace.h).
 */
#ifndef PANICAST_WIRE_H
#define PANICAST_WIRE_H

#ifdef __KERNEL__
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/types.h>
#endif

#define PC_WIRE_HEADER		80
#define PC_WIRE_BOOT_ID		16
#define PC_WIRE_HOST		32
#define PC_WIRE_MAX_FRAMES	1024
/* Boot id, event and seq, which name a frame: where in the header they are. */
#define PC_WIRE_NAME		8
#define PC_WIRE_NAME_LEN	22
/* An Ethernet frame of 1500 bytes, less the IPv4, UDP and v1 headers. */
#define PC_WIRE_CHUNK		1392

enum pc_wire_type {
	PC_WIRE_PANIC = 1,
	PC_WIRE_OOPS,
	PC_WIRE_TEST,
	PC_WIRE_HELLO,
	PC_WIRE_BYE,
};

/* Records of an earlier boot, sent later, have events from here on. */
#define PC_WIRE_KEPT_EVENT	0x80000000u

/* The payload is sealed. */
#define PC_WIRE_F_SEALED	0x01
/* The log had older text that is not part of this record. */
#define PC_WIRE_F_OLDER		0x02

/**
 * struct pc_wire_meta - what seq 0 tells of a record
 *
 * Strings end in NUL; NULL is sent as an empty value, of @addr, @unresolved and
 * @kept not at all.  Where @kept says who kept the text of an earlier boot, the
 * numbers are of this one, and are sent empty.
 */
struct pc_wire_meta {
	const char *host;
	const char *release;
	const char *version;
	const char *machine;
	const char *iface;
	const char *mac;
	const char *reason;
	u64 uptime_ns;
	u32 cpu;
	u32 pid;
	const char *comm;
	const char *taint;
	const char *module;
	const char *tag;
	const char *addr;
	const char *unresolved;
	const char *kept;
};

/**
 * struct pc_wire_record - a record before it is cut into frames
 * @boot_id: random, drawn when the module was loaded
 * @event: this boot id's number of the record, from 1
 * @type: one of enum pc_wire_type
 * @flags: PC_WIRE_F_*
 * @key_id: which key it is sealed with, 0 when not sealed
 * @chunk: payload bytes of one frame
 * @time_ns: since the Unix epoch
 * @host: node name, NUL-padded, cut at 32 bytes
 * @meta: payload of seq 0, from pc_wire_meta()
 * @meta_len: its bytes, at most @chunk
 * @text: the kernel log's text
 * @text_len: its bytes
 */
struct pc_wire_record {
	u8 boot_id[PC_WIRE_BOOT_ID];
	u32 event;
	u8 type;
	u8 flags;
	u8 key_id;
	u16 chunk;
	u64 time_ns;
	char host[PC_WIRE_HOST];
	const char *meta;
	size_t meta_len;
	const char *text;
	size_t text_len;
};

size_t pc_wire_meta(const struct pc_wire_meta *meta, char *buf, size_t size);
size_t pc_wire_value(char *dst, size_t size, const char *src);
unsigned int pc_wire_count(size_t text_len, unsigned int chunk);
const char *pc_wire_payload(const struct pc_wire_record *rec, unsigned int seq,
			    size_t *len);
size_t pc_wire_longest(const struct pc_wire_record *rec);
u8 *pc_wire_header(const struct pc_wire_record *rec, unsigned int seq,
		   size_t offset, u8 *out);
size_t pc_wire_frame(const struct pc_wire_record *rec, unsigned int seq, u8 *out);

#endif
