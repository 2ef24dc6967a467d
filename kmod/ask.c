// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends a test and waits for its receivers' answers.
 *
 * A socket of the kernel hears them, on the port that the record comes from.  It
 * is there only as long as somebody waits, in the initial network namespace, and
 * a panic knows nothing of it.
 */
#include <linux/err.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ktime.h>
#include <linux/timekeeping.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <net/ip_fib.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/route.h>
#include <net/sock.h>

#include "answer.h"
#include "ask.h"
#include "config.h"
#include "live.h"
#include "nexthop.h"
#include "seal.h"

/* How long to wait, and how many receivers are told of. */
#define WAIT_MS		3000
#define HEARD		8

static_assert(PC_ANSWER_TAG == PC_SEAL_TAG);

/* Whether a destination is one machine's address, from which it answers. */
static bool is_alone(const struct pc_dest *dest)
{
	if (pc_dest_everywhere(dest))
		return false;
	return dest->ipv6 ||
	       inet_addr_type(&init_net, dest->ip.v4) != RTN_BROADCAST;
}

/* Room for an address of either kind. */
union place {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/**
 * struct line - what the configuration says of a test
 * @dest: where to
 * @dests: how many of them there are
 * @alone: how many of them are one machine's address
 * @port: of the receivers
 * @source_port: where they answer to
 * @family: AF_INET6 where one of them is
 * @raw: the format has no answers
 */
struct line {
	struct pc_dest dest[PC_DESTS];
	unsigned int dests;
	unsigned int alone;
	u16 port;
	u16 source_port;
	int family;
	bool raw;
};

/* One who answered, and when. */
struct heard {
	union place from;
	time64_t at;
	s64 ms;
	struct pc_answer answer;
};

/* One test at a time, the last of which is told of. */
static DEFINE_MUTEX(asking);
static struct heard heard[HEARD];
static unsigned int heard_of, refused;
static const char *deaf;
static bool sealed;

static void read_config(struct line *line)
{
	const struct pc_config *cfg;
	unsigned int i;

	*line = (struct line) { .family = AF_INET };
	kernel_param_lock(THIS_MODULE);
	cfg = pc_config();
	for (i = 0; i < cfg->dests; i++) {
		line->dest[i] = cfg->dest[i];
		line->alone += is_alone(&cfg->dest[i]);
	}
	line->dests = cfg->dests;
	line->port = cfg->port;
	line->source_port = cfg->source_port;
	line->raw = cfg->format == PC_FORMAT_RAW;
	if (pc_config_ipv6(cfg))
		line->family = AF_INET6;
	kernel_param_unlock(THIS_MODULE);
}

/* An address as a socket of a family wants it; returns its bytes. */
static int put_place(union place *place, int family, const struct pc_dest *dest,
		     u16 port)
{
	memset(place, 0, sizeof(*place));
	place->any.sa_family = family;
	if (family == AF_INET) {
		place->v4.sin_addr.s_addr = dest ? dest->ip.v4 :
						htonl(INADDR_ANY);
		place->v4.sin_port = htons(port);
		return sizeof(place->v4);
	}
	place->v6.sin6_port = htons(port);
	if (dest && dest->ipv6)
		place->v6.sin6_addr = dest->ip.v6;
	else if (dest)
		ipv6_addr_set_v4mapped(dest->ip.v4, &place->v6.sin6_addr);
	return sizeof(place->v6);
}

static struct socket *open_socket(struct line *line)
{
	struct socket *sock;
	union place here;
	int err, len;

	err = sock_create_kern(&init_net, line->family, SOCK_DGRAM, IPPROTO_UDP,
			       &sock);
	if (err == -EAFNOSUPPORT && line->family == AF_INET6) {
		line->family = AF_INET;
		err = sock_create_kern(&init_net, AF_INET, SOCK_DGRAM,
				       IPPROTO_UDP, &sock);
	}
	if (err)
		return ERR_PTR(err);
	/* of IPv4 too, whatever net.ipv6.bindv6only says */
	sock->sk->sk_ipv6only = 0;
	len = put_place(&here, line->family, NULL, line->source_port);
	err = kernel_bind(sock, (void *)&here, len);
	if (err) {
		sock_release(sock);
		return ERR_PTR(err);
	}
	return sock;
}

/*
 * A firewall that lets in what answers to something has seen nothing yet: the
 * frames of a record go past it.  An empty datagram does not.
 */
static void knock(struct socket *sock, const struct line *line)
{
	unsigned int i;

	for (i = 0; i < line->dests; i++) {
		union place to;
		struct msghdr msg = {
			.msg_name = &to,
			.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		};
		struct kvec nothing = { };

		if (!is_alone(&line->dest[i]) ||
		    (line->dest[i].ipv6 && line->family == AF_INET))
			continue;
		msg.msg_namelen = put_place(&to, line->family, &line->dest[i],
					    line->port);
		kernel_sendmsg(sock, &msg, &nothing, 1, 0);
	}
}

static bool same_place(const union place *a, const union place *b)
{
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return ipv6_addr_equal(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

/* Keeps an answer, unless it was heard before. */
static void keep(const struct pc_answer *answer, const union place *from, s64 ms)
{
	unsigned int i;

	for (i = 0; i < heard_of; i++)
		if (same_place(&heard[i].from, from) &&
		    !strcmp(heard[i].answer.name, answer->name))
			return;
	if (heard_of < HEARD)
		heard[heard_of++] = (struct heard) {
			.from = *from,
			.at = ktime_get_boottime_seconds(),
			.ms = ms,
			.answer = *answer,
		};
}

static void take(u8 *data, int len, const struct pc_asked *asked,
		 const union place *from, s64 ms)
{
	struct pc_answer answer;

	/* what is longer was cut, and so is none */
	if (!pc_answer_is_to(asked, data, len) ||
	    (sealed && !pc_seal_open(data, len))) {
		refused++;
		return;
	}
	pc_answer_read(data, len - (sealed ? PC_SEAL_TAG : 0), &answer);
	keep(&answer, from, ms);
}

/* Until all have answered of whom that can be known, a signal, or the end. */
static void hear(struct socket *sock, const struct pc_asked *asked,
		 const struct line *line, ktime_t began)
{
	u8 data[PC_ANSWER_MOST + 1];
	s64 ms;
	int len;

	while (!line->alone || heard_of < line->alone) {
		union place from;
		struct msghdr msg = { .msg_name = &from };
		struct kvec room = { data, sizeof(data) };

		ms = WAIT_MS - ktime_ms_delta(ktime_get(), began);
		if (ms <= 0)
			break;
		memset(&from, 0, sizeof(from));
		sock->sk->sk_rcvtimeo = max(msecs_to_jiffies(ms), 1UL);
		len = kernel_recvmsg(sock, &msg, &room, 1, sizeof(data), 0);
		if (len < 0)
			break;
		take(data, len, asked, &from,
		     ktime_ms_delta(ktime_get(), began));
		cond_resched();
	}
}

/**
 * pc_ask() - send a test, and wait for the answers of its receivers
 * @reason: what for; may be empty
 *
 * Sleeps, for 3 s at most after the record was sent; pc_ask_show() has what was
 * heard.
 *
 * Return: as pc_live_send()
 */
int pc_ask(const char *reason)
{
	struct socket *sock = NULL;
	struct pc_asked asked = { };
	struct pc_live *test;
	struct line line;
	ktime_t began;
	int sent;

	if (mutex_lock_interruptible(&asking))
		return -ERESTARTSYS;
	read_config(&line);
	heard_of = 0;
	refused = 0;
	deaf = line.raw ? "raw frames are not answered" : NULL;
	if (!deaf) {
		sock = open_socket(&line);
		if (PTR_ERR(sock) == -EADDRINUSE)
			deaf = "another program has the UDP port source_port=";
		else if (IS_ERR(sock))
			deaf = "no memory for a socket";
	}
	if (!deaf)
		knock(sock, &line);

	rtnl_lock();
	test = pc_live_prepare(PC_WIRE_TEST, reason);
	rtnl_unlock();
	if (!IS_ERR(test))
		asked = *pc_live_asked(test);
	sealed = asked.flags & PC_WIRE_F_SEALED;
	began = ktime_get();
	sent = pc_live_send(test);
	if (sent > 0 && !deaf)
		hear(sock, &asked, &line, began);

	/* where a router refused our packets for their size, the kernel knows */
	rtnl_lock();
	pc_nexthop_look();
	rtnl_unlock();
	if (!IS_ERR_OR_NULL(sock))
		sock_release(sock);
	mutex_unlock(&asking);
	return sent;
}

static int show_heard(const struct heard *from, char *buf, int len)
{
	int begun = len;
	char name[PC_ANSWER_NAME + 1];

	pc_wire_value(name, sizeof(name), from->answer.name);
	if (from->from.any.sa_family == AF_INET)
		len += sysfs_emit_at(buf, len, "%pI4",
				     &from->from.v4.sin_addr);
	else if (ipv6_addr_v4mapped(&from->from.v6.sin6_addr))
		len += sysfs_emit_at(buf, len, "%pI4",
				     &from->from.v6.sin6_addr.s6_addr32[3]);
	else
		len += sysfs_emit_at(buf, len, "%pI6c",
				     &from->from.v6.sin6_addr);
	len += sysfs_emit_at(buf, len, " ms %lld age %lld frames %u restored %u %s %s\n",
			     from->ms,
			     ktime_get_boottime_seconds() - from->at,
			     from->answer.frames, from->answer.restored,
			     sealed ? "sealed" : "plain", name);
	return len - begun;
}

/** pc_ask_show() - who answered the last test, a line each */
int pc_ask_show(char *buf)
{
	unsigned int i;
	int len = 0;

	if (mutex_lock_interruptible(&asking))
		return -ERESTARTSYS;
	for (i = 0; i < heard_of; i++)
		len += show_heard(&heard[i], buf, len);
	if (refused)
		len += sysfs_emit_at(buf, len, "refused: %u\n", refused);
	if (deaf)
		len += sysfs_emit_at(buf, len, "deaf: %s\n", deaf);
	mutex_unlock(&asking);
	return len;
}
