/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sigpipe.h"

#include <errno.h>
#include <time.h>

void sos_sigpipe_block(struct sos_sigpipe *guard, bool needed)
{
	sigset_t set, pending;
	guard->active = needed;
	if (!needed)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigpending(&pending);
	guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &set, &guard->old);
}

void sos_sigpipe_restore(struct sos_sigpipe *guard)
{
	static const struct timespec zero;
	sigset_t set;
	if (!guard->active)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!guard->was_pending)
		while (sigtimedwait(&set, NULL, &zero) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &guard->old, NULL);
}
