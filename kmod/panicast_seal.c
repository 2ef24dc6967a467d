// SPDX-License-Identifier: GPL-2.0-only
/*
 * panicast_seal - seals the frames of panicast with XChaCha20-Poly1305
 *
 * Only this part needs the kernel's ChaCha20-Poly1305, so it is a module of its
 * own.  Without a key, panicast works on a kernel that lacks that, or has it in
 * a package that is not installed.
 */
#include <linux/module.h>
#include <linux/string.h>
#include <crypto/chacha20poly1305.h>

#include "answer.h"
#include "seal.h"
#include "version.h"
#include "wire.h"

#if IS_ENABLED(CONFIG_CRYPTO_LIB_CHACHA20POLY1305)

static_assert(PC_SEAL_KEY == CHACHA20POLY1305_KEY_SIZE);
static_assert(PC_SEAL_TAG == CHACHA20POLY1305_AUTHTAG_SIZE);

/**
 * panicast_seal() - seal a datagram where it lies, in any context
 * @datagram: header and payload, and room for PC_SEAL_TAG bytes behind them
 * @len: bytes of both
 * @key: PC_SEAL_KEY bytes
 *
 * The nonce is what names a frame: boot id, event and seq.  A record's passes
 * and interfaces have the same plaintext, so no nonce is used for two.
 *
 * Return: bytes of the sealed datagram
 */
size_t panicast_seal(u8 *datagram, size_t len, const u8 *key)
{
	u8 nonce[XCHACHA20POLY1305_NONCE_SIZE] = {};
	u8 *payload = datagram + PC_WIRE_HEADER;

	memcpy(nonce, datagram + PC_WIRE_NAME, PC_WIRE_NAME_LEN);
	xchacha20poly1305_encrypt(payload, payload, len - PC_WIRE_HEADER,
				  datagram, PC_WIRE_HEADER, nonce, key);
	return len + PC_SEAL_TAG;
}
EXPORT_SYMBOL_GPL(panicast_seal);

/**
 * panicast_open() - open a receiver's answer where it lies
 * @answer: its header and its payload, sealed
 * @len: bytes of both, more than those of header and tag
 * @key: PC_SEAL_KEY bytes
 *
 * Receivers that share a key answer the same record, so the nonce has a random
 * part; its last byte is that of no frame's nonce.
 *
 * Return: whether it was sealed with this key
 */
bool panicast_open(u8 *answer, size_t len, const u8 *key)
{
	u8 nonce[XCHACHA20POLY1305_NONCE_SIZE] = {};
	u8 *payload = answer + PC_ANSWER_HEADER;

	memcpy(nonce, answer + PC_ANSWER_SALT, PC_ANSWER_SALT_LEN);
	memcpy(nonce + PC_ANSWER_SALT_LEN, answer + PC_ANSWER_EVENT,
	       PC_ANSWER_EVENT_LEN);
	nonce[sizeof(nonce) - 1] = 1;
	return xchacha20poly1305_decrypt(payload, payload,
					 len - PC_ANSWER_HEADER, answer,
					 PC_ANSWER_HEADER, nonce, key);
}
EXPORT_SYMBOL_GPL(panicast_open);

static int __init panicast_seal_init(void)
{
	return 0;
}

#else

static int __init panicast_seal_init(void)
{
	pr_err("this kernel was built without CONFIG_CRYPTO_LIB_CHACHA20POLY1305\n");
	return -EOPNOTSUPP;
}

#endif

static void __exit panicast_seal_exit(void)
{
}

module_init(panicast_seal_init);
module_exit(panicast_seal_exit);

MODULE_DESCRIPTION("Seals the frames of panicast");
MODULE_VERSION(PANICAST_VERSION);
MODULE_LICENSE("GPL");
