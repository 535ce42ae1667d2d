/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RESERVE 16

static int spare[RESERVE], spare_count;
static int null_fd = -1, null_input = -1;

int sos_reserve_init(void)
{
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	null_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0 || null_input < 0)
		return -errno;
	sos_reserve_refill();
	return 0;
}

/* Files of their own: duplicates would give nothing back to the system. */
void sos_reserve_refill(void)
{
	while (spare_count < RESERVE) {
		int fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0)
			return;
		spare[spare_count++] = fd;
	}
}

void sos_reserve_spend(void)
{
	while (spare_count > 0)
		close(spare[--spare_count]);
}

int sos_reserve_null(void)
{
	return null_fd;
}

int sos_reserve_null_input(void)
{
	return null_input;
}
