// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where this CPU was when it crashed, and how the others were stopped.  It
 * shows whose locks will never be released.
 *
 * All of this takes no lock: the kernel prints the same trace in every panic.
 */
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "where.h"

#define DEPTH	48

/* Functions on this CPU's stack, as printk has them: "name [module]". */
struct trace {
	char name[DEPTH][64];
	unsigned int depth;
};

/* A panic and an oops each crash on one CPU at a time. */
static struct trace traces[PC_SLOT_LIVE];

/**
 * pc_where_note() - remember what this CPU was doing, for the functions below
 * @slot: whose record it is for
 */
void pc_where_note(enum pc_slot slot)
{
	struct trace *trace = &traces[slot];
	unsigned long address[DEPTH];
	unsigned int i;

	trace->depth = compat_stack_trace(address, DEPTH);
	for (i = 0; i < trace->depth; i++)
		snprintf(trace->name[i], sizeof(trace->name[i]), "%ps",
			 (void *)address[i]);
}

/**
 * pc_where_calls() - whether a function called the code that crashed
 * @slot: whose crash
 * @what: a part of "name [module]"
 */
bool pc_where_calls(enum pc_slot slot, const char *what)
{
	const struct trace *trace = &traces[slot];
	unsigned int i;

	for (i = 0; i < trace->depth; i++)
		if (strstr(trace->name[i], what))
			return true;
	return false;
}

/** pc_where_calls_any() - pc_where_calls() for one of a list that NULL ends */
bool pc_where_calls_any(enum pc_slot slot, const char * const *parts)
{
	for (; *parts; parts++)
		if (pc_where_calls(slot, *parts))
			return true;
	return false;
}

/**
 * pc_where_stopped_by_nmi() - whether a CPU was stopped with interrupts off
 *
 * Only after a panic.  Others were stopped by an interrupt, and so outside of
 * every lock that is taken with interrupts off.
 */
bool pc_where_stopped_by_nmi(void)
{
	unsigned int cpu, here = raw_smp_processor_id();

	for_each_possible_cpu(cpu)
		if (cpu != here && compat_in_nmi(cpu))
			return true;
	return false;
}
