// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arms kdump in a guest, as kexec -s -p does: load_crash_kernel KERNEL INITRD
 */
#include <fcntl.h>
#include <stddef.h>	/* older headers of the kernel want it first */
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char cmdline[] = "console=ttyS0 reset_devices nr_cpus=1 crash-kernel";

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 3)
		return 2;
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (syscall(SYS_kexec_file_load, kernel, initrd, sizeof(cmdline),
		    cmdline, KEXEC_FILE_ON_CRASH) == 0)
		return 0;
	perror("kexec_file_load");
	return 1;
}
