// SPDX-License-Identifier: GPL-2.0-only
/* Has an interface of the kernel's PPP, ppp0, as pppd has for a PPPoE session, for as long as it runs. */
#include <fcntl.h>
#include <linux/ppp-ioctl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	int fd = open("/dev/ppp", O_RDWR), unit = 0;

	if (fd < 0 || ioctl(fd, PPPIOCNEWUNIT, &unit)) {
		perror("ppp");
		return 1;
	}
	pause();
	return 0;
}
