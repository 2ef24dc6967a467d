// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reports panics, by a notifier, and what the machine survives.
 */
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "config.h"
#include "log.h"
#include "netdev.h"
#include "panic.h"
#include "record.h"
#include "xmit.h"

/* A machine that oopses or locks up again and again is heard this often. */
#define OOPS_INTERVAL	(10 * HZ)

/* Memory for the next record; its user takes it away with xchg(). */
static struct pc_draft *drafts[PC_SLOT_LIVE];
/* Memory that an oops has used: only a sleeping context can free it. */
static struct pc_draft *used;
/* From an oops until restock(), which frees its frames: another has to wait. */
static bool spent;
static unsigned long next_oops;
/* How many events had no record since the last one. */
static atomic_t left_out = ATOMIC_INIT(0);
static bool live;
/* Serialises pc_panic_config_changed(). */
static DEFINE_MUTEX(stock_lock);

static int panic_event(struct notifier_block *nb, unsigned long event,
		       void *message)
{
	/* NULL when we crashed ourselves: then nothing must keep the reboot */
	struct pc_draft *draft = xchg(&drafts[PC_SLOT_PANIC], NULL);
	unsigned int sent;

	if (draft) {
		draft->about = PC_PANIC_LINE;
		sent = pc_xmit_last_words(draft, PC_SLOT_PANIC, PC_WIRE_PANIC,
					  message);
		/* what firmware keeps of the log tells of which boot it is */
		pr_emerg("last words sent: boot %*phN, event %u, %u frames\n",
			 PC_WIRE_BOOT_ID, draft->rec.boot_id,
			 draft->rec.event, sent);
	}
	return NOTIFY_DONE;
}

/*
 * A notifier, before all others, and not a kmsg dumper, which comes after them.
 * Other notifiers may hang, take seconds (IPMI), or never return: pvpanic's
 * stops the guest, s390's the machine.  And since 5.18 the kernel logs what
 * panic_print= asks for between the two.  Measured with panic_print=0x3 and some
 * 150 tasks: when the first notifier is called, the log ends 2.3 KB after the
 * panic line (6.1; 2.5 KB on 6.12).  When the dumpers are, it ends 186 KB after
 * it (219 KB), three times what a record holds.  Without panic_print= only what
 * other notifiers log lies between: there it was the Kernel Offset, which we add
 * ourselves, see kaslr.c.
 */
static struct notifier_block panic_nb = {
	.notifier_call = panic_event,
	.priority = INT_MAX,
};

/**
 * pc_panic_config_changed() - lay ready memory of the size that is asked for
 *
 * Return: 0, -ENOMEM with the old memory still in place
 */
int pc_panic_config_changed(void)
{
	const struct pc_config *cfg;
	int slot, err = 0;
	size_t text;

	mutex_lock(&stock_lock);
	/* not before: a faster writer would be undone */
	cfg = pc_config();
	text = cfg->kib * 1024;
	for (slot = PC_SLOT_PANIC; live && slot <= PC_SLOT_OOPS; slot++) {
		struct pc_draft *draft = READ_ONCE(drafts[slot]);
		bool wanted = slot == PC_SLOT_PANIC ||
			      cfg->reasons & PC_REASON_SURVIVED;

		if (wanted && draft && draft->size == text + PC_LOG_SLACK)
			continue;
		draft = wanted ? pc_draft_alloc(text) : NULL;
		if (wanted && !draft)
			err = -ENOMEM;
		else
			pc_draft_free(xchg(&drafts[slot], draft));
	}
	mutex_unlock(&stock_lock);
	return err;
}

static void restock(struct work_struct *work)
{
	pc_draft_free(xchg(&used, NULL));
	pc_netdev_restock();
	WRITE_ONCE(spent, false);
	if (pc_panic_config_changed())
		pr_warn("no memory to report the next oops\n");
}

static DECLARE_WORK(restock_work, restock);

static void restock_soon(struct irq_work *work)
{
	schedule_work(&restock_work);
}

/*
 * The crashed code may hold a workqueue's lock: an interrupt comes after that.
 */
static DEFINE_IRQ_WORK(restock_irq_work, restock_soon);

/**
 * pc_panic_survived() - report what the machine survives, in any context
 * @reason: what happened
 * @line: the beginning of the log's line that the record must have, or NULL
 *
 * At most one in OOPS_INTERVAL; the next record says how many were left out.
 */
void pc_panic_survived(const char *reason, const char *line)
{
	/* the owner of the draft owns this too */
	static char counted[192];
	struct pc_draft *draft = NULL;
	int before;

	if (time_after_eq(jiffies, READ_ONCE(next_oops)) &&
	    !READ_ONCE(spent))
		draft = xchg(&drafts[PC_SLOT_OOPS], NULL);
	if (!draft) {
		atomic_inc(&left_out);
		return;
	}

	WRITE_ONCE(spent, true);
	WRITE_ONCE(next_oops, jiffies + OOPS_INTERVAL);
	draft->about = line;
	before = atomic_xchg(&left_out, 0);
	if (before) {
		scnprintf(counted, sizeof(counted),
			  "%s (no record was sent of %d before it)", reason,
			  before);
		reason = counted;
	}
	pc_xmit_last_words(draft, PC_SLOT_OOPS, PC_WIRE_OOPS, reason);
	WRITE_ONCE(used, draft);
	irq_work_queue(&restock_irq_work);
}

static void oops_event(enum kmsg_dump_reason reason, const char *message)
{
	if (reason == KMSG_DUMP_OOPS && pc_config()->reasons & PC_REASON_OOPS)
		pc_panic_survived(message ? message : "Oops", NULL);
}

COMPAT_KMSG_DUMP(oops_dump, oops_event)

static struct kmsg_dumper oops_dumper = {
	.dump = oops_dump,
	.max_reason = KMSG_DUMP_OOPS,
};

static void free_drafts(void)
{
	int slot;

	mutex_lock(&stock_lock);
	live = false;
	mutex_unlock(&stock_lock);
	irq_work_sync(&restock_irq_work);
	cancel_work_sync(&restock_work);
	pc_draft_free(xchg(&used, NULL));
	for (slot = 0; slot < ARRAY_SIZE(drafts); slot++)
		pc_draft_free(xchg(&drafts[slot], NULL));
}

/** pc_panic_init() - report panics from now on */
int pc_panic_init(void)
{
	int err;

	next_oops = jiffies;
	live = true;
	err = pc_panic_config_changed();
	if (err)
		goto free;
	err = kmsg_dump_register(&oops_dumper);
	if (err)
		goto free;
	err = atomic_notifier_chain_register(&panic_notifier_list, &panic_nb);
	if (err)
		goto unregister_dumper;
	return 0;

unregister_dumper:
	kmsg_dump_unregister(&oops_dumper);
free:
	free_drafts();
	return err;
}

/** pc_panic_exit() - the opposite of pc_panic_init() */
void pc_panic_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_nb);
	kmsg_dump_unregister(&oops_dumper);
	free_drafts();
}
