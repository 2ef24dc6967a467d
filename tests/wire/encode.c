// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's encoder in user space: all frames of a record, or how long its
 * parity takes.
 *
 *	encode <record >frames
 *	encode TIMES <record
 *
 * A record is the header of any of its frames, then chunk, parity frames, bytes
 * of metadata and bytes of text as 32-bit numbers, then the metadata and the
 * text.  Each frame follows its length, a 32-bit number too.  With TIMES the
 * parity is made so often, and the microseconds of the fastest are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "parity.h"

/* Memory of just this size, so that the sanitizer sees each byte too far. */
static void *slurp(size_t len)
{
	void *data = malloc(len);

	if (!data || fread(data, 1, len, stdin) != len) {
		fprintf(stderr, "encode: the record is cut off\n");
		exit(1);
	}
	return data;
}

static u32 big32(const u8 *p)
{
	return (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void put(const struct pc_wire_record *rec, unsigned int seq,
		unsigned int count)
{
	u8 *out = malloc(PC_WIRE_HEADER + rec->chunk);
	u32 len = seq < count ? pc_wire_frame(rec, seq, out) :
				pc_parity_frame(rec, seq - count, out);

	fwrite(&len, sizeof(len), 1, stdout);
	fwrite(out, len, 1, stdout);
	free(out);
}

static double parity_us(const struct pc_wire_record *rec, unsigned int parity)
{
	u8 *out = malloc(PC_WIRE_HEADER + rec->chunk);
	struct timespec start, end;
	unsigned int nr;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
	for (nr = 0; nr < parity; nr++)
		pc_parity_frame(rec, nr, out);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	free(out);
	return (end.tv_sec - start.tv_sec) * 1e6 +
	       (end.tv_nsec - start.tv_nsec) / 1e3;
}

int main(int argc, char **argv)
{
	u8 *header = slurp(PC_WIRE_HEADER);
	u32 *sizes = slurp(4 * sizeof(*sizes));
	struct pc_wire_record rec = {
		.event = big32(header + 24),
		.type = header[5],
		.flags = header[6],
		.key_id = header[7],
		.chunk = sizes[0],
		.time_ns = (u64)big32(header + 40) << 32 | big32(header + 44),
		.meta_len = sizes[2],
		.text_len = sizes[3],
	};
	unsigned int count, seq, parity = sizes[1];
	double us, best = 1e9;
	int times;

	memcpy(rec.boot_id, header + 8, sizeof(rec.boot_id));
	memcpy(rec.host, header + 48, sizeof(rec.host));
	rec.meta = slurp(rec.meta_len);
	rec.text = slurp(rec.text_len);
	count = pc_wire_count(rec.text_len, rec.chunk);

	if (argc > 1) {
		for (times = atoi(argv[1]); times > 0; times--) {
			us = parity_us(&rec, parity);
			best = us < best ? us : best;
		}
		printf("%.0f\n", best);
	} else {
		for (seq = 0; seq < count + parity; seq++)
			put(&rec, seq, count);
	}
	free((void *)rec.meta);
	free((void *)rec.text);
	free(sizes);
	free(header);
	return 0;
}
