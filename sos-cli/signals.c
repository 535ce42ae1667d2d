/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int signal_fd = -1;
static int holders;
static sigset_t held;
static sigset_t before;

static void add_unless_ignored(int number)
{
	struct sigaction action;
	if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
		sigaddset(&held, number);
}

int sos_signals_hold(void)
{
	if (holders++)
		return 0;
	if (signal_fd < 0) {
		sigemptyset(&held);
		add_unless_ignored(SIGINT);
		add_unless_ignored(SIGTERM);
		add_unless_ignored(SIGHUP);
		signal_fd = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
		if (signal_fd < 0) {
			holders--;
			return -1;
		}
	}
	return sigprocmask(SIG_BLOCK, &held, &before);
}

void sos_signals_release(void)
{
	if (--holders == 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
}

int sos_signals_fd(void)
{
	return signal_fd;
}

int sos_signals_take(void)
{
	struct signalfd_siginfo info;
	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}
