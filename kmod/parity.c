// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes parity frames: each can replace any lost frame of the record.
 *
 * A parity frame is a sum of the record's frames, each multiplied by a factor.
 * Bytes are elements of GF(2^8), and addition is XOR.  A word holds eight of
 * them.  This runs after a panic: no allocation, no lock, no table, and a time
 * that depends only on the amount of data.
 */
#include "parity.h"

#define EACH(byte)	(0x0101010101010101ULL * (byte))

/* Multiplies each byte by x, modulo x^8 + x^4 + x^3 + x^2 + 1. */
static u64 times_x(u64 v)
{
	return ((v & EACH(0x7f)) << 1) ^ (((v >> 7) & EACH(1)) * 0x1d);
}

/* Multiplies each byte of @a by that of @b. */
static u64 product(u64 a, u64 b)
{
	u64 sum = 0;
	int bit;

	for (bit = 7; bit >= 0; bit--)
		sum = times_x(sum) ^ (a & (((b >> bit) & EACH(1)) * 0xff));
	return sum;
}

/* Inverts each byte: the inverse is its 254th power. */
static u64 inverse(u64 a)
{
	u64 power = EACH(1);
	int i;

	for (i = 0; i < 7; i++) {
		a = product(a, a);
		power = product(power, a);
	}
	return power;
}

/*
 * What each source of a block is multiplied with for its parity @p: for source
 * s that is (128 + s) / ((128 + p) ^ s).
 */
static void put_factors(u8 factor[PC_PARITY_BLOCK], unsigned int sources,
			u8 p)
{
	unsigned int s;

	for (s = 0; s < sources; s += sizeof(u64)) {
		u8 number[sizeof(u64)];
		u64 v;
		int i;

		for (i = 0; i < sizeof(u64); i++)
			number[i] = s + i;
		memcpy(&v, number, sizeof(v));
		v = product(v ^ EACH(PC_PARITY_BLOCK),
			    inverse(v ^ EACH((u64)(PC_PARITY_BLOCK + p))));
		memcpy(factor + s, &v, sizeof(v));
	}
}

static void add(u8 *sum, const u8 *data, size_t len)
{
	for (; len >= sizeof(u64); len -= sizeof(u64)) {
		u64 a, b;

		memcpy(&a, sum, sizeof(a));
		memcpy(&b, data, sizeof(b));
		a ^= b;
		memcpy(sum, &a, sizeof(a));
		sum += sizeof(a);
		data += sizeof(b);
	}
	while (len--)
		*sum++ ^= *data++;
}

static void all_times_x(u8 *sum, size_t len)
{
	u64 v;

	for (; len >= sizeof(v); len -= sizeof(v)) {
		memcpy(&v, sum, sizeof(v));
		v = times_x(v);
		memcpy(sum, &v, sizeof(v));
		sum += sizeof(v);
	}
	for (; len--; sum++)
		*sum = times_x(*sum);
}

/**
 * pc_parity_count() - parity frames of a record
 * @count: its source frames
 * @percent: how many of them are wanted, at most 100 for each hundred
 */
unsigned int pc_parity_count(unsigned int count, unsigned int percent)
{
	return (count * percent + 99) / 100;
}

/**
 * pc_parity_frame() - one datagram of parity: header and payload
 * @rec: the record
 * @nr: which of its parity frames, from 0
 * @out: PC_WIRE_HEADER + @rec->chunk bytes
 *
 * The sum is built bit by bit of the factors, the highest first: the sum so far
 * is multiplied by x, and the sources whose factors have the bit are added.
 *
 * Return: bytes written
 */
size_t pc_parity_frame(const struct pc_wire_record *rec, unsigned int nr,
		       u8 *out)
{
	unsigned int count = pc_wire_count(rec->text_len, rec->chunk);
	unsigned int blocks = (count + PC_PARITY_BLOCK - 1) / PC_PARITY_BLOCK;
	unsigned int block = nr % blocks;
	unsigned int s, sources = (count - block + blocks - 1) / blocks;
	size_t size = pc_wire_longest(rec);
	u8 factor[PC_PARITY_BLOCK];
	u8 *sum = pc_wire_header(rec, count + nr, rec->meta_len, out);
	int bit;

	put_factors(factor, sources, nr / blocks);
	memset(sum, 0, size);
	for (bit = 7; bit >= 0; bit--) {
		all_times_x(sum, size);
		for (s = 0; s < sources; s++) {
			const char *payload;
			size_t len;

			if (!(factor[s] & (1 << bit)))
				continue;
			payload = pc_wire_payload(rec, block + s * blocks,
						  &len);
			add(sum, (const u8 *)payload, len);
		}
	}
	return PC_WIRE_HEADER + size;
}
