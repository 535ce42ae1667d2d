/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "init/text.h"
#include "util/guard.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int open_slave(int master)
{
	int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	unsigned number;
	if (ioctl(master, TIOCGPTN, &number) < 0)
		return -1;
	struct sos_text path;
	sos_text_clear(&path);
	sos_text_string(&path, "/dev/pts/");
	sos_text_number(&path, number);
	return open(path.data, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

int sos_terminal_open(uid_t uid, int *master, int *slave)
{
	int unlock = 0;
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	SOS_AUTO_CLOSE int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (m < 0 || ioctl(m, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	SOS_AUTO_CLOSE int s = open_slave(m);
	if (s < 0)
		return -errno;
	ioctl(s, TIOCSWINSZ, &size);
	if (fchown(s, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS)
		return -errno;
	*master = sos_steal_fd(&m);
	*slave = sos_steal_fd(&s);
	return 0;
}

pid_t sos_terminal_foreground(int master)
{
	pid_t group;
	return master >= 0 && ioctl(master, TIOCGPGRP, &group) == 0 && group > 1 ? group : -1;
}
