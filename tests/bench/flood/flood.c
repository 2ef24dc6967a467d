// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sends the records of many panicking hosts from one interface, as fast as asked or as it can.
 *
 * flood IFACE CORPUS HOSTS PASSES PPS [FIRST [forge|every|serial]]
 *
 * CORPUS holds texts of TEXT bytes; host h sends the one of its number, modulo their number. All hosts send
 * their first frames, then all their second ones, and so on, the worst case for a receiver's memory; serial: one
 * host after the other. PPS 0: no pause. FIRST: the number of the first host. forge: each frame begins a record
 * of its own that is never completed. every: each frame is a record of its own, of each type in turn, under a new
 * name; one in two of them whole, one in eight says that it is sealed. Prints packets and nanoseconds; for serial,
 * first a line for each host: its number and when its last frame was sent (CLOCK_REALTIME, ns).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 65536, FRAMES = 51, PAYLOAD = 1311, BATCH = 32, PORT = 6664, SOURCE_PORT = 6665 };

struct __attribute__((packed)) frame {
	uint8_t to[6], from[6];
	uint16_t ethertype;
	uint8_t version, tos;
	uint16_t total, id, fragment;
	uint8_t ttl, protocol;
	uint16_t checksum;
	uint32_t source, destination;
	uint16_t source_port, port, length, udp_checksum;
	char magic[4];
	uint8_t wire, type, flags, key;
	uint32_t boot[4], event;
	uint16_t seq, count;
	uint32_t offset, text_length;
	uint64_t time;
	char host[32];
};

static const char *corpus;
static long texts, first;
static int forge, every;

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint16_t ip_checksum(const void *header)
{
	const uint16_t *word = header;
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* Fills one frame of one host in; its payload is meta or in the corpus. */
static void fill(struct frame *f, struct iovec *payload, char meta[128], uint32_t host, uint32_t seq, uint32_t serial)
{
	uint32_t offset = 0, size;

	memset(f, 0, sizeof(*f));
	memset(f->to, 0xff, 6);
	f->from[0] = 2;
	memcpy(f->from + 2, &(uint32_t){ htonl(host + 1) }, 4);
	f->ethertype = htons(ETHERTYPE_IP);
	f->version = 0x45;
	f->fragment = htons(0x4000);
	f->ttl = 64;
	f->protocol = IPPROTO_UDP;
	f->source = htonl(0x0a000000 + host + 1);
	f->destination = 0xffffffff;
	f->source_port = htons(SOURCE_PORT);
	f->port = htons(PORT);
	memcpy(f->magic, "PCST", 4);
	f->wire = f->type = 1;
	f->boot[0] = htonl(host);
	f->boot[1] = htonl(forge ? serial : ~host);
	f->boot[2] = htonl(forge ? 0x0badbeef : 0x600df00d);
	f->event = htonl(1);
	f->seq = htons(seq);
	f->count = htons(FRAMES);
	f->text_length = htonl(TEXT);
	f->time = htobe64(1700000000000000000ull + host);
	snprintf(f->host, sizeof(f->host), "host-%08u", host);
	if (seq) {
		offset = seq * PAYLOAD < TEXT ? TEXT - seq * PAYLOAD : 0;
		size = TEXT - (seq - 1) * PAYLOAD - offset;
		payload->iov_base = (char *)corpus + host % texts * TEXT + offset;
	} else {
		size = snprintf(meta, 128, "host=%s\nrelease=6.1.0-bench\nreason=bench\n", f->host);
		payload->iov_base = meta;
	}
	if (every) {
		f->type = 1 + serial % 5;
		f->flags = f->key = serial % 8 == 7;
		snprintf(f->host, sizeof(f->host), "forged-%u", serial);
		f->seq = offset = 0;
		payload->iov_base = meta;
		size = snprintf(meta, 128, "host=%s\nrelease=6.1.0-bench\nreason=forged\n", f->host);
		/* A hello or bye has only one frame. */
		if (serial / 5 % 2 || f->type > 3) {
			f->count = htons(1);
			f->text_length = 0;
		}
	}
	payload->iov_len = size;
	f->offset = htonl(offset);
	f->length = htons(8 + 80 + size);
	f->total = htons(20 + 8 + 80 + size);
	f->checksum = ip_checksum(&f->version);
}

int main(int argc, char **argv)
{
	static struct frame frames[BATCH];
	static char metas[BATCH][128];
	struct iovec parts[BATCH][2];
	struct mmsghdr messages[BATCH] = { 0 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	struct stat status;
	uint64_t sent = 0, start, total;
	int fd, file, serial, filled = 0;
	long hosts, passes, pps;

	if (argc < 6)
		errx(2, "usage: flood IFACE CORPUS HOSTS PASSES PPS [FIRST [forge|every|serial]]");
	hosts = atol(argv[3]);
	passes = atol(argv[4]);
	pps = atol(argv[5]);
	first = argc > 6 ? atol(argv[6]) : 0;
	every = argc > 7 && !strcmp(argv[7], "every");
	forge = every || (argc > 7 && !strcmp(argv[7], "forge"));
	serial = argc > 7 && !strcmp(argv[7], "serial");
	file = open(argv[2], O_RDONLY);
	if (file < 0 || fstat(file, &status))
		err(1, "%s", argv[2]);
	texts = status.st_size / TEXT;
	corpus = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	if (corpus == MAP_FAILED || !texts)
		err(1, "%s", argv[2]);
	to.sll_ifindex = if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || !to.sll_ifindex || bind(fd, (void *)&to, sizeof(to)))
		err(1, "%s", argv[1]);
	for (int i = 0; i < BATCH; i++) {
		parts[i][0] = (struct iovec){ &frames[i], sizeof(frames[i]) };
		messages[i].msg_hdr.msg_iov = parts[i];
		messages[i].msg_hdr.msg_iovlen = 2;
	}
	total = (uint64_t)hosts * FRAMES * passes;
	start = now(CLOCK_MONOTONIC);
	for (uint64_t i = 0; i < total; i++) {
		uint64_t in_pass = i % ((uint64_t)hosts * FRAMES);
		uint32_t host = first + (serial ? in_pass / FRAMES : in_pass % hosts);
		uint32_t seq = serial ? in_pass % FRAMES : in_pass / hosts;

		fill(&frames[filled], &parts[filled][1], metas[filled], host, seq, i);
		filled++;
		if (filled < BATCH && i + 1 < total && !(serial && seq == FRAMES - 1))
			continue;
		while (pps && now(CLOCK_MONOTONIC) - start < sent * 1000000000ull / pps)
			;
		for (int done = 0; done < filled;) {
			int n = sendmmsg(fd, messages + done, filled - done, 0);

			if (n < 0)
				err(1, "sendmmsg");
			done += n;
		}
		sent += filled;
		filled = 0;
		if (serial && seq == FRAMES - 1)
			printf("%u %llu\n", host, (unsigned long long)now(CLOCK_REALTIME));
	}
	printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)(now(CLOCK_MONOTONIC) - start));
	return 0;
}
