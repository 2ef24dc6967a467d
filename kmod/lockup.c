// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reports soft and hard lockups, hung tasks and RCU stalls that the machine
 * survives.
 *
 * The kernel reports them only in its log, so a thread reads what is new there.
 * It sleeps by a high resolution timer: such timers run in the hard interrupt,
 * even on a CPU that is locked up with softirqs off.  A CPU that is locked up
 * with interrupts off runs no timers.  So there are two threads, on two CPUs,
 * neither of them isolated.
 */
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "config.h"
#include "lockup.h"
#include "log.h"
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

/**
 * struct watcher - a thread that looks
 * @task: the thread, NULL for none
 * @cpu: where it runs
 * @line: what it reads
 * @found: what its last look has found, empty for nothing
 * @seq: where in the log that was
 */
static struct watcher {
	struct task_struct *task;
	unsigned int cpu;
	char line[512];
	char found[160];
	s64 seq;
} watchers[2];

/* Where the newest reported lockup is in the log. */
static atomic64_t told = ATOMIC64_INIT(0);
static bool live;
/* Serialises settle(). */
static DEFINE_MUTEX(watcher_lock);

/* The text of a line, if it reports a lockup. */
static const char *sign_of(char *line)
{
	const char *text;
	int i;

	strreplace(line, '\n', '\0');
	text = pc_log_said(line, line + strlen(line));
	for (i = 0; text && i < ARRAY_SIZE(signs); i++)
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
					 HRTIMER_MODE_REL_PINNED_HARD);
	__set_current_state(TASK_RUNNING);
}

/* Both find the same. */
static bool is_first(s64 seq)
{
	s64 newest = atomic64_read(&told);

	return seq > newest && atomic64_cmpxchg(&told, newest, seq) == newest;
}

static int watch(void *data)
{
	struct watcher *me = data;
	struct compat_log_place place;
	const char *sign;
	size_t len;

	me->found[0] = '\0';
	compat_log_end(&place);
	while (!kthread_should_stop()) {
		unsigned int lines = 0;

		/* found by the last look: what the CPUs do is in the log now */
		if (me->found[0] && is_first(me->seq))
			pc_panic_survived(me->found, me->found);
		me->found[0] = '\0';
		while (lines++ < LOOK_LINES &&
		       compat_log_line(&place, me->line, sizeof(me->line) - 1,
				       &len)) {
			me->line[len] = '\0';
			sign = sign_of(me->line);
			if (sign && !me->found[0]) {
				strscpy(me->found, sign, sizeof(me->found));
				me->seq = compat_log_seq(&place);
			}
			cond_resched();
		}
		nap();
	}
	return 0;
}

static void stop(struct watcher *watcher)
{
	if (watcher->task)
		kthread_stop(watcher->task);
	watcher->task = NULL;
}

static int start(struct watcher *watcher, unsigned int cpu)
{
	struct task_struct *task;

	task = kthread_create(watch, watcher, "panicast/%u", cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, cpu);
	watcher->task = task;
	watcher->cpu = cpu;
	wake_up_process(task);
	return 0;
}

static bool watched(unsigned int cpu)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(watchers); i++)
		if (watchers[i].task && watchers[i].cpu == cpu)
			return true;
	return false;
}

/* A watcher without a thread, NULL if all have one. */
static struct watcher *absent(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(watchers); i++)
		if (!watchers[i].task)
			return &watchers[i];
	return NULL;
}

/*
 * Moves the watchers to their CPUs.  @leaving: a CPU that goes offline,
 * nr_cpu_ids for none.  No other CPU comes or goes meanwhile.
 */
static int settle(unsigned int leaving)
{
	struct watcher *watcher;
	unsigned int cpu, i;
	bool wanted;
	int err = 0;

	mutex_lock(&watcher_lock);
	wanted = live && pc_config()->reasons & PC_REASON_LOCKUP;
	for (i = 0; i < ARRAY_SIZE(watchers); i++)
		if (!wanted || watchers[i].cpu == leaving)
			stop(&watchers[i]);
	for_each_online_cpu(cpu) {
		watcher = absent();
		if (!wanted || !watcher || err)
			break;
		/* whoever keeps a CPU for himself is not to be woken on it */
		if (cpu != leaving && compat_housekeeping(cpu) && !watched(cpu))
			err = start(watcher, cpu);
	}
	mutex_unlock(&watcher_lock);
	return err;
}

/**
 * pc_lockup_config_changed() - look for lockups if that is asked for
 *
 * Return: 0, or why there is no thread
 */
int pc_lockup_config_changed(void)
{
	int err;

	cpus_read_lock();
	err = settle(nr_cpu_ids);
	cpus_read_unlock();
	return err;
}

/* A thread bound to a CPU that goes offline would lose its binding for good. */
static int cpu_changes(unsigned int leaving)
{
	/* a CPU comes and goes whether it is watched or not */
	if (settle(leaving))
		pr_warn("no thread to look for lockups\n");
	return 0;
}

static int cpu_comes(unsigned int cpu)
{
	return cpu_changes(nr_cpu_ids);
}

/* What the kernel calls us by when a CPU comes or goes. */
static int hotplug;

/** pc_lockup_init() - report lockups from now on, if asked to */
int pc_lockup_init(void)
{
	int err;

	hotplug = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
					    "panicast:online", cpu_comes,
					    cpu_changes);
	if (hotplug < 0)
		return hotplug;
	live = true;
	err = pc_lockup_config_changed();
	/* one thread may run where there is none for the other */
	if (err)
		pc_lockup_exit();
	return err;
}

/** pc_lockup_exit() - the opposite of pc_lockup_init() */
void pc_lockup_exit(void)
{
	live = false;
	pc_lockup_config_changed();
	cpuhp_remove_state_nocalls(hotplug);
}
