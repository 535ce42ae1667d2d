/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/gate.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"

int sos_gate_init(struct sos_gate *gate, struct sos_error *error)
{
	gate->token = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (gate->token < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "eventfd");
	return 0;
}

void sos_gate_clear(struct sos_gate *gate)
{
	if (gate->token >= 0)
		close(gate->token);
	gate->token = -1;
}

int sos_gate_enter(struct sos_gate *gate, int64_t deadline, int cancel_fd, struct sos_error *error)
{
	for (;;) {
		uint64_t one;
		if (read(gate->token, &one, sizeof(one)) == sizeof(one))
			return 0;
		struct pollfd fds[2] = {{.fd = gate->token, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
		int r = poll(fds, 2, sos_clock_poll_ms(deadline));
		if (r < 0 && errno != EINTR)
			return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "poll");
		if (r > 0 && fds[1].revents)
			return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
		if (r == 0 && sos_clock_ns() >= deadline)
			return sos_error_set(error, SOS_ERROR_DEADLINE,
					     "the deadline passed while another start prepared the pool");
	}
}

void sos_gate_leave(struct sos_gate *gate)
{
	uint64_t one = 1;
	/* Can't fail: the counter is 0 while the gate is held. */
	if (write(gate->token, &one, sizeof(one)) != sizeof(one))
		return;
}
