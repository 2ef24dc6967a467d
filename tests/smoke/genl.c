// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a command by generic netlink, for what busybox can't configure (teams,
 * Open vSwitch): genl FAMILY VERSION COMMAND [+HEADER] [ATTRIBUTE]…
 *
 *   +HEADER        a number in the family's own header
 *   TYPE:u8=NUMBER, TYPE:u32=NUMBER, TYPE:str=TEXT
 *   TYPE:nest … end  attributes in an attribute
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
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

static void begin(uint16_t family, uint8_t version, uint8_t command)
{
	struct genlmsghdr genl = { .version = version, .cmd = command };

	memset(&message, 0, sizeof(message));
	message.head.nlmsg_len = NLMSG_HDRLEN;
	message.head.nlmsg_type = family;
	message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	append(&genl, sizeof(genl));
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

	begin(GENL_ID_CTRL, 1, CTRL_CMD_GETFAMILY);
	message.head.nlmsg_flags = NLM_F_REQUEST;
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
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	uint32_t header;

	if (argc < 4)
		return 2;
	begin(family_of(fd, argv[1]), atoi(argv[2]), atoi(argv[3]));
	argv += 4;
	if (*argv && **argv == '+') {
		header = strtoul(*argv++, NULL, 0);
		append(&header, sizeof(header));
	}
	append_words(argv);
	ask(fd);
	return 0;
}
