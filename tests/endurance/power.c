// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into the service: copies into the folder POWER_KEPT what it has
 * synced to the disk POWER_DISK, and nothing else. That is what a power cut
 * leaves.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Reads the file by its open descriptor: closing another one would drop
 * SQLite's locks.
 */
static void copy(int file, const char *name)
{
	char beside[PATH_MAX + 8], buffer[1 << 16];
	off_t at = 0;
	ssize_t size;
	FILE *kept;

	snprintf(beside, sizeof(beside), "%s.new", name);
	kept = fopen(beside, "we");
	if (!kept)
		abort();
	while ((size = pread(file, buffer, sizeof(buffer), at)) > 0) {
		if (fwrite(buffer, size, 1, kept) != 1)
			abort();
		at += size;
	}
	if (fclose(kept) || rename(beside, name))
		abort();
}

static int keep(int file, int result)
{
	const char *disk = getenv("POWER_DISK"), *folder = getenv("POWER_KEPT");
	char link[32], path[PATH_MAX] = "", name[PATH_MAX];
	struct stat found;
	int lock;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	if (result || !disk || !folder || fstat(file, &found) || !S_ISREG(found.st_mode) ||
	    readlink(link, path, sizeof(path) - 1) < 0 || strncmp(path, disk, strlen(disk)))
		return result;
	snprintf(name, sizeof(name), "%s%s", folder, strrchr(path, '/'));
	/* One at a time, of all processes. */
	lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX))
		abort();
	copy(file, name);
	close(lock);
	return result;
}

int fsync(int file)
{
	return keep(file, syscall(SYS_fsync, file));
}

int fdatasync(int file)
{
	return keep(file, syscall(SYS_fdatasync, file));
}
