// SPDX-License-Identifier: GPL-2.0-only
/*
 * Builds the metadata and the text of a record.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/utsname.h>

#include "compat/compat.h"
#include "frame.h"
#include "identity.h"
#include "kaslr.h"
#include "log.h"
#include "nexthop.h"
#include "parity.h"
#include "record.h"
#include "version.h"

/* Room for put_end(). */
#define END	192

/**
 * pc_draft_alloc() - memory for a record
 * @text: bytes of log that it must hold
 */
struct pc_draft *pc_draft_alloc(size_t text)
{
	size_t size = text + PC_LOG_SLACK;
	struct pc_draft *draft;

	draft = kvzalloc(struct_size(draft, log, size), GFP_KERNEL);
	if (draft)
		draft->size = size;
	return draft;
}

/** pc_draft_free() - NULL is fine */
void pc_draft_free(struct pc_draft *draft)
{
	kvfree(draft);
}

/* Spells the taint as oopses do; the kernel's own function is private. */
static void put_taint(char *buf, size_t size)
{
	static const char set[] = "PFSRMBUDAWCIOELKXTNJ";
	size_t i, n = min_t(size_t, TAINT_FLAGS_COUNT, sizeof(set) - 1);

	for (i = 0; i < n && i < size - 1; i++)
		buf[i] = test_taint(i) ? set[i] : i ? ' ' : 'G';
	buf[i] = '\0';
}

/*
 * The first device that sends.  The metadata about it is the same on all
 * devices: a seal's nonce must not be used for two plaintexts.
 */
static const struct net_device *first_device(enum pc_slot slot)
{
	struct pc_iface *iface;

	pc_for_each_iface(iface)
		if (pc_iface_burst(iface, slot))
			return iface->dev;
	return NULL;
}

/* The first IPv6 address that it is sent from, the same on all interfaces too. */
static void put_addr(struct pc_draft *draft, enum pc_slot slot)
{
	struct pc_iface *iface;
	unsigned int i;

	pc_for_each_iface(iface) {
		const struct pc_burst *burst = pc_iface_burst(iface, slot);

		for (i = 0; burst && i < burst->ways.n; i++) {
			const struct pc_way *way = &burst->ways.way[i];

			if (!way->dest.ipv6)
				continue;
			snprintf(draft->addr, sizeof(draft->addr), "%pI6c",
				 &way->source.v6);
			return;
		}
	}
}

static void put_meta(struct pc_draft *draft, const struct net_device *first,
		     const char *reason)
{
	const struct new_utsname *uts = init_utsname();
	struct pc_wire_meta meta = {
		.host = uts->nodename,
		.release = uts->release,
		.version = uts->version,
		.machine = uts->machine,
		.iface = first ? first->name : "",
		.mac = draft->mac,
		.reason = reason,
		.uptime_ns = ktime_get_boot_fast_ns(),
		.cpu = raw_smp_processor_id(),
		.pid = current->pid,
		.comm = current->comm,
		.taint = draft->taint,
		.module = PANICAST_VERSION,
		.tag = draft->cfg->tag,
		.addr = *draft->addr ? draft->addr : NULL,
		.unresolved = *draft->unresolved ? draft->unresolved : NULL,
	};

	if (draft->kept) {
		/* what ran then is in the text, if anywhere */
		meta.kept = draft->kept->by;
		meta.release = NULL;
		meta.version = NULL;
		meta.comm = NULL;
		meta.taint = NULL;
	}
	if (first)
		snprintf(draft->mac, sizeof(draft->mac), "%pM",
			 first->dev_addr);
	draft->rec.meta = draft->meta;
	draft->rec.meta_len = pc_wire_meta(&meta, draft->meta, draft->rec.chunk);
}

/*
 * One raw frame holds less than a trace.  Its newest text is worthless if the
 * panic line is cut off; then the frame begins with that line.
 */
static void raw_window(struct pc_wire_record *rec)
{
	/* a datagram's headers are text there */
	size_t room = min_t(size_t, PC_FRAME_RAW, rec->chunk + PC_WIRE_HEADER +
			    sizeof(struct udphdr));
	const char *end = rec->text + rec->text_len;
	const char *start, *p;

	if (rec->text_len <= room)
		return;
	start = end - room;

	if (rec->type == PC_WIRE_PANIC) {
		for (p = start; p > rec->text; p--)
			if (p[-1] == '\n' &&
			    strnstr(p, PC_PANIC_LINE,
				    min_t(size_t, end - p, 80)))
				break;
		if (p > rec->text)
			start = p;
	}
	rec->text = start;
	rec->text_len = min_t(size_t, end - start, room);
}

/* Appends what we add to a crash's text. */
static size_t put_end(const struct pc_draft *draft, char *buf, bool newer)
{
	size_t len = 0;

	if (newer)
		len = scnprintf(buf, END,
				"<4>panicast: newer lines are left out, kib=%u has no room for them\n",
				draft->cfg->kib);
	/* a machine that lives on needs it to be a secret */
	if (draft->rec.type == PC_WIRE_PANIC)
		len += pc_kaslr_line(buf + len, END - len);
	return len;
}

/* The newest whole lines of what was kept. */
static void put_kept(struct pc_draft *draft, size_t limit)
{
	const struct pc_kept *kept = draft->kept;
	struct pc_wire_record *rec = &draft->rec;
	const char *end = kept->text + kept->len;
	const char *start = kept->text, *line;

	if (kept->len > limit) {
		start = end - limit;
		line = memchr(start, '\n', limit);
		/* one that is longer than all that fits is cut */
		if (line && line + 1 < end && start[-1] != '\n')
			start = line + 1;
		rec->flags |= PC_WIRE_F_OLDER;
	}
	rec->text = start;
	rec->text_len = end - start;
}

static void put_text(struct pc_draft *draft, enum pc_slot slot)
{
	struct pc_wire_record *rec = &draft->rec;
	size_t limit = draft->kept ? draft->kept->len :
				     draft->size - PC_LOG_SLACK;
	bool raw = draft->cfg->format == PC_FORMAT_RAW;
	struct pc_log_text log;
	struct pc_iface *iface;

	pc_for_each_iface(iface) {
		const struct pc_burst *burst = pc_iface_burst(iface, slot);

		if (burst && !raw)
			limit = min_t(size_t, limit,
				      (burst->shape.source - 1) * rec->chunk);
	}
	if (draft->kept) {
		put_kept(draft, limit);
		return;
	}
	/* frames made for raw have room only for metadata */
	if (limit <= END)
		return;

	pc_log_read(draft->log, limit - END, draft->about, &log);
	rec->text = log.start;
	rec->text_len = log.len +
		put_end(draft, (char *)log.start + log.len, log.newer);
	if (log.older)
		rec->flags |= PC_WIRE_F_OLDER;
	if (raw)
		raw_window(rec);
}

/**
 * pc_record_compose() - put a record together, in any context
 * @draft: where to; a draft without room for text gives a record without text
 * @slot: whose interfaces will send it
 * @type: its type
 * @reason: why it is sent, in words
 *
 * Return: false if nothing may be sent, because the key is awaited
 */
bool pc_record_compose(struct pc_draft *draft, enum pc_slot slot,
		       enum pc_wire_type type, const char *reason)
{
	struct pc_wire_record *rec = &draft->rec;
	struct pc_iface *iface;

	draft->cfg = pc_config();
	if (draft->cfg->key_awaited)
		return false;

	if (draft->cfg->sealed) {
		rec->flags |= PC_WIRE_F_SEALED;
		rec->key_id = draft->cfg->key_id;
	}
	rec->type = type;
	if (draft->kept) {
		pc_identity_stamp_kept(rec, draft->kept->boot_known ?
					    draft->kept->boot_id : NULL);
		rec->time_ns = draft->kept->time_ns;
	} else {
		pc_identity_stamp(rec);
		rec->time_ns = ktime_get_real_fast_ns();
	}
	memcpy(rec->host, init_utsname()->nodename,
	       strnlen(init_utsname()->nodename, sizeof(rec->host)));

	/* one cut for all interfaces: to a receiver it is one record */
	rec->chunk = PC_WIRE_CHUNK;
	pc_for_each_iface(iface)
		if (pc_iface_burst(iface, slot))
			rec->chunk = min_t(unsigned int, rec->chunk,
					   pc_iface_chunk(iface,
							  draft->cfg));

	put_text(draft, slot);
	put_taint(draft->taint, sizeof(draft->taint));
	put_addr(draft, slot);
	/* what is missing may change at any moment, except under RTNL */
	if (slot == PC_SLOT_LIVE)
		pc_nexthop_unresolved(draft->unresolved,
				      sizeof(draft->unresolved));
	put_meta(draft, first_device(slot), reason);
	return true;
}

/**
 * pc_record_datagram() - make one datagram of a v1 record, sealed if wanted
 * @draft: the record, composed; the datagram is in its @datagram afterwards
 * @seq: which one; parity follows the frames that hold the record
 *
 * Return: its bytes
 */
size_t pc_record_datagram(struct pc_draft *draft, unsigned int seq)
{
	const struct pc_wire_record *rec = &draft->rec;
	unsigned int count = pc_wire_count(rec->text_len, rec->chunk);
	size_t len;

	if (seq < count)
		len = pc_wire_frame(rec, seq, draft->datagram);
	else
		len = pc_parity_frame(rec, seq - count, draft->datagram);
	if (rec->flags & PC_WIRE_F_SEALED)
		len = pc_seal(draft->datagram, len, draft->cfg);
	return len;
}
