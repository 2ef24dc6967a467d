/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kmod/identity.c takes from a kernel, on a machine whose clocks a test sets. */
#ifndef IDENTITY_USERSPACE_H
#define IDENTITY_USERSPACE_H

#include "userspace.h"

typedef struct {
	int counter;
} atomic_t;

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data);
};

/* Set by a test: the time, the CPU's cycles, and what the random pool gives. */
extern u64 time_ns, cycles;
extern u8 pool;

#define ATOMIC_INIT(value) { value }
#define atomic_inc_return(atomic) (++(atomic)->counter)
#define DEFINE_MUTEX(name) int name
#define mutex_lock(mutex) ((void)(mutex))
#define mutex_unlock(mutex) ((void)(mutex))
#define READ_ONCE(variable) (variable)
#define WRITE_ONCE(variable, value) ((variable) = (value))
#define smp_load_acquire(variable) (*(variable))
#define smp_store_release(variable, value) (*(variable) = (value))
#define static_assert _Static_assert
#define NOTIFY_DONE 0
#define pr_info(...) ((void)0)

#define ktime_get_real_fast_ns() time_ns
#define random_get_entropy() cycles
#define get_random_bytes(bytes, size) memset(bytes, pool, size)
#define get_random_u32() (pool * 0x01010101u)
#define wait_for_random_bytes() 0
#define compat_vmfork_register(nb) ((void)(nb), 0)
#define compat_vmfork_unregister(nb) ((void)(nb))

#endif
