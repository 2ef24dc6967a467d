// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a command by generic netlink, for what busybox can't configure (teams,
 * Open vSwitch): genl FAMILY VERSION COMMAND [+HEADER] [ATTRIBUTE]…
 * The family "route" is not generic: genl route 0 16 makes an interface (HSR).
 *
 *   +HEADER        a number in the family's own header
 *   TYPE:u8=NUMBER, TYPE:u32=NUMBER, TYPE:str=TEXT
 *   TYPE:nest … end  attributes in an attribute
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static union {
	struct nlmsghdr head;
	char bytes[4096];
} message;

static void *append(const void *data, size_t len)
{
	void *at = message.bytes + NLMSG_ALIGN(message.head.nlmsg_len);

	if (len)
		memcpy(at, data, len);
	message.head.nlmsg_len = NLMSG_ALIGN(message.head.nlmsg_len) + len;
	return at;
}

static struct nlattr *attribute(uint16_t type, const void *data, size_t len)
{
	struct nlattr head = { .nla_type = type, .nla_len = NLA_HDRLEN + len };
	struct nlattr *at = append(&head, sizeof(head));

	append(data, len);
	return at;
}

static void begin(uint16_t type, uint16_t flags, const void *header, size_t len)
{
	memset(&message, 0, sizeof(message));
	message.head.nlmsg_len = NLMSG_HDRLEN;
	message.head.nlmsg_type = type;
	message.head.nlmsg_flags = NLM_F_REQUEST | flags;
	append(header, len);
}

static void begin_generic(uint16_t family, uint16_t flags, uint8_t version, uint8_t command)
{
	struct genlmsghdr generic = { .version = version, .cmd = command };

	begin(family, flags, &generic, sizeof(generic));
}

static void begin_route(uint16_t command)
{
	begin(command, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &(struct ifinfomsg){ 0 },
	      sizeof(struct ifinfomsg));
}

/* Sends the message; the answer takes its place.  Ends with what is wrong. */
static void ask(int fd)
{
	struct nlmsgerr *error = NLMSG_DATA(&message.head);

	if (send(fd, &message, message.head.nlmsg_len, 0) < 0 ||
	    recv(fd, &message, sizeof(message), 0) < 0) {
		perror("genl");
		exit(1);
	}
	if (message.head.nlmsg_type == NLMSG_ERROR && error->error) {
		fprintf(stderr, "genl: %s\n", strerror(-error->error));
		exit(1);
	}
}

static uint16_t family_of(int fd, const char *name)
{
	struct nlattr *found;
	char *end;

	begin_generic(GENL_ID_CTRL, 0, 1, CTRL_CMD_GETFAMILY);
	attribute(CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1);
	ask(fd);
	end = message.bytes + message.head.nlmsg_len;
	found = (void *)(message.bytes + NLMSG_HDRLEN + GENL_HDRLEN);
	while ((char *)found < end && found->nla_type != CTRL_ATTR_FAMILY_ID)
		found = (void *)((char *)found + NLA_ALIGN(found->nla_len));
	return *(uint16_t *)((char *)found + NLA_HDRLEN);
}

/* Appends the words up to an "end"; returns how many they are. */
static int append_words(char **word)
{
	int n;

	for (n = 0; word[n] && strcmp(word[n], "end"); n++) {
		uint16_t type = strtoul(word[n], NULL, 0);
		char *value = strchr(word[n], '=');
		uint32_t number = value ? strtoul(value + 1, NULL, 0) : 0;
		struct nlattr *nest;

		if (strstr(word[n], ":nest")) {
			nest = attribute(type | NLA_F_NESTED, NULL, 0);
			n += 1 + append_words(word + n + 1);
			nest->nla_len = message.bytes +
					message.head.nlmsg_len - (char *)nest;
		} else if (strstr(word[n], ":str=")) {
			attribute(type, value + 1, strlen(value + 1) + 1);
		} else if (strstr(word[n], ":u8=")) {
			attribute(type, &(uint8_t){ number }, 1);
		} else if (strstr(word[n], ":u32=")) {
			attribute(type, &number, sizeof(number));
		} else {
			fprintf(stderr, "genl: %s is no attribute\n", word[n]);
			exit(2);
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	bool route = argc > 1 && !strcmp(argv[1], "route");
	int fd = socket(AF_NETLINK, SOCK_RAW, route ? NETLINK_ROUTE : NETLINK_GENERIC);
	uint32_t header;

	if (argc < 4)
		return 2;
	if (route)
		begin_route(atoi(argv[3]));
	else
		begin_generic(family_of(fd, argv[1]), NLM_F_ACK, atoi(argv[2]), atoi(argv[3]));
	argv += 4;
	if (*argv && **argv == '+') {
		header = strtoul(*argv++, NULL, 0);
		append(&header, sizeof(header));
	}
	append_words(argv);
	ask(fd);
	return 0;
}
