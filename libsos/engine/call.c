/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/call.h"

#include <poll.h>

#include "util/clock.h"
#include "util/error.h"

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return fd >= 0 && poll(&p, 1, 0) > 0;
}

int sos_call_check(const struct sos_engine_call *call, const struct sos_address *address, struct sos_error *error)
{
	if (readable(call->cancel_fd))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	if (sos_clock_poll_ms(call->deadline) == 0)
		return sos_error_set(error, SOS_ERROR_DEADLINE, "Docker Engine at %s: no answer in time",
				     address->text);
	return 0;
}

int sos_call_bear(struct sos_engine_call *call, bool *cancelled, const struct sos_address *address,
		  struct sos_error *error)
{
	if (!*cancelled && call->patience_ms > 0 && readable(call->cancel_fd)) {
		int64_t deadline = sos_clock_deadline(call->patience_ms);
		if (deadline < call->deadline)
			call->deadline = deadline;
		call->cancel_fd = -1;
		*cancelled = true;
	}
	int r = sos_call_check(call, address, error);
	if (r == SOS_ERROR_DEADLINE && *cancelled)
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	return r;
}
