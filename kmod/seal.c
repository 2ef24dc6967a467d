// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sealed frames, for those who gave a key.
 */
#include <linux/kmod.h>
#include <linux/module.h>

#include "config.h"
#include "seal.h"

static size_t (*seal)(u8 *datagram, size_t len, const u8 *key);

/**
 * pc_seal_init() - get ready to seal, if the administrator gave a key
 *
 * Return: 0; -ENOENT where the kernel can't: who asked for sealed frames is not
 * to find others on the network
 */
int pc_seal_init(void)
{
	if (!pc_config()->sealed)
		return 0;

	request_module("panicast_seal");
	seal = symbol_get(panicast_seal);
	if (seal)
		return 0;
	pr_err("key given, but panicast_seal can't be loaded: it needs the kernel's libchacha20poly1305; install it, or load panicast without key=\n");
	return -ENOENT;
}

/** pc_seal_exit() - the opposite of pc_seal_init() */
void pc_seal_exit(void)
{
	if (seal)
		symbol_put(panicast_seal);
}

/**
 * pc_seal() - seal a datagram where it lies, in any context
 * @datagram: header and payload, and room for PC_SEAL_TAG bytes behind them
 * @len: bytes of both
 * @cfg: a configuration with a key
 *
 * Return: bytes of the sealed datagram
 */
size_t pc_seal(u8 *datagram, size_t len, const struct pc_config *cfg)
{
	return seal(datagram, len, cfg->key);
}
