/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PC_CRASH_H
#define PC_CRASH_H

#include <linux/netdevice.h>

/**
 * struct way - a way to crash
 * @name: as how= has it
 * @alone: what this CPU does; it panics here or soon
 * @other: or what another one does when this one panics, saying @says
 * @says: the reason
 */
struct way {
	const char *name;
	void (*alone)(void);
	int (*other)(void *unused);
	const char *says;
};

/* Each ends with one that has no name. */
extern const struct way contexts[];
extern const struct way places[];
extern const struct way interrupts[];

/* A function of the kernel or of a driver, for places. */
extern char *symbol;
/* Whether a CPU is held, and the one that is to be. */
extern bool held;
extern unsigned int holder_cpu;

struct net_device *card(void);
int hold(void);
void beside(int (*other)(void *), const char *what);
void send_something(struct net_device *dev);
void interrupt_holder(void);

#endif
