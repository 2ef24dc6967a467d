// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into a program: kills it at step CUT_AT of those that change the
 * disk, before that step is done. Prints at the program's end how many steps
 * there were.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long steps, last;

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("CUT_AT");

	last = at ? atol(at) : 0;
}

__attribute__((destructor)) static void end(void)
{
	fprintf(stderr, "steps %ld\n", steps);
}

static void step(void)
{
	if (++steps == last)
		kill(getpid(), SIGKILL);
}

int fsync(int file)
{
	step();
	return syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
	step();
	return syscall(SYS_fdatasync, file);
}

int rename(const char *from, const char *to)
{
	step();
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
	step();
	return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int ftruncate64(int file, off64_t size)
{
	step();
	return syscall(SYS_ftruncate, file, size);
}

int ftruncate(int file, off_t size)
{
	return ftruncate64(file, size);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at)
{
	step();
	return syscall(SYS_pwrite64, file, data, size, at);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
	return pwrite64(file, data, size, at);
}
