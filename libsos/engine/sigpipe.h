/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* OpenSSL writes without MSG_NOSIGNAL in some builds of libcurl. A connection
 * that broke must not raise SIGPIPE in a process that is not ours. */

#include <signal.h>
#include <stdbool.h>

struct sos_sigpipe {
	sigset_t old;
	bool was_pending, active;
};

/* Between the two this thread gets no SIGPIPE, and one raised meanwhile is taken away. `needed` false: nothing is done.
 */
void sos_sigpipe_block(struct sos_sigpipe *guard, bool needed);
void sos_sigpipe_restore(struct sos_sigpipe *guard);
