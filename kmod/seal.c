// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seals frames, if there is a key.
 */
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "compat/compat.h"
#include "config.h"
#include "seal.h"

/* All under the module's parameter lock. */
static size_t (*seal)(u8 *datagram, size_t len, const u8 *key);
static bool (*open)(u8 *answer, size_t len, const u8 *key);
static enum {
	STARTING,	/* parameters are read; pc_seal_init() looks at them */
	RUNNING,
	OVER,		/* nobody would wipe another key */
} state = STARTING;

static int get(void)
{
	if (seal)
		return 0;
	request_module("panicast_seal");
	seal = symbol_get(panicast_seal);
	if (!seal) {
		pr_err("key given, but panicast_seal can't be loaded: it needs the kernel's libchacha20poly1305; install it, or load panicast without key=\n");
		return -ENOENT;
	}
	/* the same module, which stays as long as we have its seal */
	open = symbol_get(panicast_open);
	if (!COMPAT_VMFORK_TOLD)
		pr_info("this kernel doesn't tell when a virtual machine is cloned or reverted: load panicast again after that, or seals use a nonce twice\n");
	return 0;
}

/**
 * pc_seal_get() - get ready to seal, before there is a key; with the parameter
 * lock held
 *
 * Return: 0; -ENOENT where the kernel can't; -ESHUTDOWN when we unload
 */
int pc_seal_get(void)
{
	if (state == OVER)
		return -ESHUTDOWN;
	return state == STARTING ? 0 : get();
}

/**
 * pc_seal_init() - get ready to seal, if the administrator gave a key
 *
 * Return: 0; -ENOENT if the kernel can't: who asked for sealed frames must not
 * find others on the network
 */
int pc_seal_init(void)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	err = pc_config()->sealed ? get() : 0;
	state = err ? OVER : RUNNING;
	if (err)
		pc_config_forget_key();
	kernel_param_unlock(THIS_MODULE);
	return err;
}

/** pc_seal_exit() - the opposite of pc_seal_init(); nobody sends any more */
void pc_seal_exit(void)
{
	kernel_param_lock(THIS_MODULE);
	state = OVER;
	pc_config_forget_key();
	if (open)
		symbol_put(panicast_open);
	open = NULL;
	if (seal)
		symbol_put(panicast_seal);
	seal = NULL;
	kernel_param_unlock(THIS_MODULE);
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
	unsigned int nmi = compat_nmi_hide();

	len = seal(datagram, len, cfg->key);
	compat_nmi_show(nmi);
	return len;
}

/**
 * pc_seal_open() - open an answer where it lies, with the key in force; sleeps
 * @answer: its header and its payload, sealed
 * @len: bytes of both
 *
 * Return: whether it was sealed with that key
 */
bool pc_seal_open(u8 *answer, size_t len)
{
	bool opened;

	kernel_param_lock(THIS_MODULE);
	opened = open && pc_config()->sealed &&
		 open(answer, len, pc_config()->key);
	kernel_param_unlock(THIS_MODULE);
	return opened;
}
