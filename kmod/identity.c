// SPDX-License-Identifier: GPL-2.0-only
/*
 * What identifies a record: the boot id, and the record's number under it.
 *
 * Both are in the nonce of each sealed frame, which must not be used for two
 * plaintexts.  When memory returns to an earlier state, so does the number.  So
 * a machine that wakes from hibernation, or a virtual one that was reverted or
 * cloned, gets another boot id.  Since 5.18 the kernel reports reverting and
 * cloning, if the hypervisor does.
 *
 * The kernel says late that it woke: a record before that, and one of the
 * machine that wrote the image, would have the same number.  So while there may
 * be an image, each record has a boot id of its own.
 */
#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/timex.h>

#include "compat/compat.h"
#include "identity.h"

/* Two take turns: a panic may copy the one that is in use at any moment. */
static u8 boot_ids[2][PC_WIRE_BOOT_ID];
static unsigned int in_use;
static atomic_t events = ATOMIC_INIT(0);
/* Whether this memory may be, or become, the image of a hibernated machine. */
static bool imaged;
/* Serialises pc_identity_renew(). */
static DEFINE_MUTEX(renew_lock);

/*
 * Puts into a boot id what differs between two machines that have one memory:
 * the time, which is that of the image until the clock runs again, and the
 * CPU's cycles, which begin anew.  Takes no lock.
 */
static void tell_apart(u8 *boot_id)
{
	u64 differs[] = { ktime_get_real_fast_ns(), random_get_entropy() };
	const u8 *bytes = (const u8 *)differs;
	unsigned int i;

	static_assert(sizeof(differs) == PC_WIRE_BOOT_ID);
	for (i = 0; i < PC_WIRE_BOOT_ID; i++)
		boot_id[i] ^= bytes[i];
}

/** pc_identity_stamp() - name a new record, in any context */
void pc_identity_stamp(struct pc_wire_record *rec)
{
	/* all of the one that is in use, see pc_identity_renew() */
	unsigned int i = smp_load_acquire(&in_use);

	memcpy(rec->boot_id, boot_ids[i], sizeof(rec->boot_id));
	if (READ_ONCE(imaged))
		tell_apart(rec->boot_id);
	rec->event = atomic_inc_return(&events);
}

/**
 * pc_identity_image() - note that there may be an image of this memory
 * @exists: whether there may be one from now on; after waking, first
 *	    pc_identity_renew()
 */
void pc_identity_image(bool exists)
{
	WRITE_ONCE(imaged, exists);
}

/**
 * pc_identity_stamp_kept() - name a record of an earlier boot
 * @rec: the record
 * @boot_id: its boot id; NULL where it is not known, then one is drawn
 *
 * How far that boot had counted is not known, but it was never half of the
 * numbers: of the other half one is drawn.
 */
void pc_identity_stamp_kept(struct pc_wire_record *rec, const u8 *boot_id)
{
	if (boot_id)
		memcpy(rec->boot_id, boot_id, sizeof(rec->boot_id));
	else
		get_random_bytes(rec->boot_id, sizeof(rec->boot_id));
	rec->event = get_random_u32() | PC_WIRE_KEPT_EVENT;
}

/**
 * pc_identity_renew() - draw another boot id
 *
 * The random pool, too, is part of the memory that came back, and two machines
 * may wake from the same image.
 */
void pc_identity_renew(void)
{
	unsigned int spare;

	mutex_lock(&renew_lock);
	spare = !in_use;
	get_random_bytes(boot_ids[spare], sizeof(boot_ids[spare]));
	tell_apart(boot_ids[spare]);
	/* whoever sees that it is in use sees all of it */
	smp_store_release(&in_use, spare);
	/* so that what is kept of this log tells of which boot it is */
	pr_info("boot %*phN\n", PC_WIRE_BOOT_ID, boot_ids[spare]);
	mutex_unlock(&renew_lock);
}

static int forked(struct notifier_block *nb, unsigned long action, void *data)
{
	pc_identity_renew();
	pr_info("this machine was cloned or reverted: drew another boot id\n");
	return NOTIFY_DONE;
}

static struct notifier_block fork_nb = {
	.notifier_call = forked,
};

/**
 * pc_identity_init() - draw the boot id, when the random pool is ready
 *
 * Return: 0; -ERESTARTSYS when the wait was interrupted
 */
int pc_identity_init(void)
{
	int err = wait_for_random_bytes();

	if (err)
		return err;
	pc_identity_renew();
	return compat_vmfork_register(&fork_nb);
}

/** pc_identity_exit() - the opposite of pc_identity_init() */
void pc_identity_exit(void)
{
	compat_vmfork_unregister(&fork_nb);
}
