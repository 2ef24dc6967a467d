// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a receiver's answer to a test: bytes in, their meaning out.
 */
#include "answer.h"

static unsigned int get16(const u8 *p)
{
	return p[0] << 8 | p[1];
}

/**
 * pc_answer_is_to() - whether a datagram is an answer to a test
 * @asked: the test
 * @data: the datagram
 * @len: its bytes
 *
 * Of a sealed test only a sealed answer is one; whoever asks opens it.
 */
bool pc_answer_is_to(const struct pc_asked *asked, const u8 *data, size_t len)
{
	u8 sealed = asked->flags & PC_WIRE_F_SEALED;
	const u8 begin[] = {
		'P', 'C', 'S', 'A', 1, PC_WIRE_TEST, sealed, asked->key_id
	};
	const u8 event[] = {
		asked->event >> 24, asked->event >> 16, asked->event >> 8,
		asked->event
	};
	size_t around = PC_ANSWER_HEADER + (sealed ? PC_ANSWER_TAG : 0);

	return len > around && len <= around + PC_ANSWER_NAME &&
	       !memcmp(data, begin, sizeof(begin)) &&
	       !memcmp(data + 8, asked->boot_id, sizeof(asked->boot_id)) &&
	       !memcmp(data + PC_ANSWER_EVENT, event, sizeof(event)) &&
	       !memcmp(data + 48, asked->host, sizeof(asked->host));
}

/**
 * pc_answer_read() - what an answer says
 * @data: a datagram for which pc_answer_is_to(), opened if it was sealed
 * @len: its bytes without the tag of a seal
 * @answer: filled
 */
void pc_answer_read(const u8 *data, size_t len, struct pc_answer *answer)
{
	answer->restored = get16(data + 28);
	answer->frames = get16(data + 30);
	memcpy(answer->name, data + PC_ANSWER_HEADER, len - PC_ANSWER_HEADER);
	answer->name[len - PC_ANSWER_HEADER] = '\0';
}
