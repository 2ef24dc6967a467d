// SPDX-License-Identifier: GPL-2.0-only
/*
 * Soft and hard lockups, hung tasks and RCU stalls that the machine survives.
 *
 * The kernel tells nobody of them but its log, so a thread looks at what is
 * new there.  It sleeps by a high resolution timer: those run in the hard
 * interrupt, even on a CPU that is locked up with softirqs off.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "config.h"
#include "lockup.h"
#include "panic.h"

#define LOOK_MS		1000
/* A log that fills faster than it is read must not keep the thread here. */
#define LOOK_LINES	10000

/* How the kernel begins to complain: a message holds both words. */
static const struct {
	const char *first;
	const char *then;
} signs[] = {
	{ "BUG: soft lockup", "" },
	{ "hard LOCKUP on cpu", "" },
	{ "INFO: task ", " blocked " },
	{ "INFO: rcu", " stall" },
};

static struct task_struct *watcher;
static bool live;
/* Serialises pc_lockup_config_changed(). */
static DEFINE_MUTEX(watcher_lock);

/*
 * The text of a line "<4>[   12.345678] text", if it is one that we look for.
 * Other facilities than the kernel's are what user space has said.
 */
static const char *sign_of(char *line)
{
	char *text = line;
	unsigned int level;
	int i;

	if (sscanf(line, "<%u>", &level) != 1 || level > 7)
		return NULL;
	strreplace(line, '\n', '\0');
	text += strcspn(text, ">");
	text += *text == '>';
	while (*text == '[' || *text == ' ') {
		if (*text == '[')
			text += strcspn(text, "]");
		text += !!*text;
	}
	for (i = 0; i < ARRAY_SIZE(signs); i++)
		if (strstr(text, signs[i].first) &&
		    strstr(text, signs[i].then))
			return text;
	return NULL;
}

static void nap(void)
{
	ktime_t time = ms_to_ktime(LOOK_MS);

	set_current_state(TASK_IDLE);
	if (!kthread_should_stop())
		schedule_hrtimeout_range(&time, 100 * NSEC_PER_MSEC,
					 HRTIMER_MODE_REL_HARD);
	__set_current_state(TASK_RUNNING);
}

static int watch(void *unused)
{
	struct compat_log_place place;
	static char line[512];
	static char found[160];

	found[0] = '\0';
	compat_log_end(&place);
	while (!kthread_should_stop()) {
		unsigned int lines = 0;
		const char *sign;
		size_t len;

		/* found by the last look: what the CPUs do is in the log now */
		if (found[0])
			pc_panic_survived(found);
		found[0] = '\0';
		while (lines++ < LOOK_LINES &&
		       compat_log_line(&place, line, sizeof(line) - 1, &len)) {
			line[len] = '\0';
			sign = sign_of(line);
			if (sign && !found[0])
				strscpy(found, sign, sizeof(found));
			cond_resched();
		}
		nap();
	}
	return 0;
}

/**
 * pc_lockup_config_changed() - look for lockups if that is asked for
 *
 * Return: 0, or why there is no thread
 */
int pc_lockup_config_changed(void)
{
	bool wanted = pc_config()->reasons & PC_REASON_LOCKUP;
	struct task_struct *task;
	int err = 0;

	mutex_lock(&watcher_lock);
	if (watcher && (!wanted || !live)) {
		kthread_stop(watcher);
		watcher = NULL;
	} else if (!watcher && wanted && live) {
		task = kthread_run(watch, NULL, "panicast");
		if (IS_ERR(task))
			err = PTR_ERR(task);
		else
			watcher = task;
	}
	mutex_unlock(&watcher_lock);
	return err;
}

/** pc_lockup_init() - from here on lockups are reported, if that is asked for */
int pc_lockup_init(void)
{
	live = true;
	return pc_lockup_config_changed();
}

/** pc_lockup_exit() - the opposite of pc_lockup_init() */
void pc_lockup_exit(void)
{
	live = false;
	pc_lockup_config_changed();
}
