/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/link_call.h"

#include <errno.h>
#include <poll.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/link_internal.h"

uint32_t sos_link_next_id(struct sos_link *link)
{
	SOS_LOCKED(&link->lock);
	return ++link->next_id;
}

/* With the lock: until `changed` or the deadline; false past it. */
static bool wait_changed(struct sos_link *link, int64_t deadline)
{
	if (deadline == SOS_CLOCK_NEVER)
		return pthread_cond_wait(&link->changed, &link->lock) == 0;
	struct timespec t = sos_clock_timespec(deadline);
	return pthread_cond_timedwait(&link->changed, &link->lock, &t) != ETIMEDOUT;
}

/* With the lock; sends when the link is up and there is room. */
static int send_when_up(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count,
			int64_t deadline, struct sos_error *error)
{
	for (;;) {
		if (link->state == SOS_LINK_ENDED)
			return sos_error_set(error, link->end_code, "%s", link->end_reason);
		int r = link->state == SOS_LINK_UP ? sos_link_send(link, frame, length, fds, fd_count) : -ENOTCONN;
		if (r == 0)
			return 0;
		if (r == -EAGAIN && !link->attach_transport) {
			/* The socket is full: rare, frames are small. Its descriptor may be closed while we wait;
			 * then the poll ends or its result is of no use, and the loop looks again. */
			struct pollfd poll_fd = { link->conn.fd, POLLOUT, 0 };
			pthread_mutex_unlock(&link->lock);
			poll(&poll_fd, 1, sos_clock_poll_ms(deadline));
			pthread_mutex_lock(&link->lock);
			if (deadline <= sos_clock_ns())
				return sos_error_set(error, SOS_ERROR_DEADLINE, "sos-init does not read");
			continue;
		}
		if (r != -EAGAIN && r != -ENOTCONN && r != -EPIPE && r != -ECONNRESET)
			return sos_error_errno(error, SOS_ERROR_SYSTEM, -r, "cannot send to sos-init");
		if (!wait_changed(link, deadline))
			return sos_error_set(error, SOS_ERROR_DEADLINE, "no connection to sos-init");
	}
}

int sos_link_call(struct sos_link *link, const void *frame, size_t length, uint32_t id, const int *fds,
		  size_t fd_count, int64_t deadline, struct sos_link_reply *reply, struct sos_error *error)
{
	*reply = (struct sos_link_reply){ .id = id };
	SOS_LOCKED(&link->lock);
	sos_list_init(&reply->node);
	sos_list_append(&link->calls, &reply->node);
	int r = send_when_up(link, frame, length, fds, fd_count, deadline, error);
	while (r == 0 && !reply->done) {
		if (link->state == SOS_LINK_ENDED)
			r = sos_error_set(error, link->end_code, "%s", link->end_reason);
		else if (!wait_changed(link, deadline) && !reply->done)
			r = sos_error_set(error, SOS_ERROR_DEADLINE, "sos-init did not answer");
	}
	sos_list_remove(&reply->node);
	if (r == 0 && reply->errnum && !reply->refused)
		r = link->state == SOS_LINK_ENDED ?
			    sos_error_set(error, link->end_code, "%s", link->end_reason) :
			    sos_error_set(error, SOS_ERROR_LOST, "%s", reply->message);
	return r;
}

int sos_link_post(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count,
		  int64_t deadline, struct sos_error *error)
{
	SOS_LOCKED(&link->lock);
	return send_when_up(link, frame, length, fds, fd_count, deadline, error);
}
