/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Firing is one write to an eventfd that nobody ever reads: no lock, so that a
 * signal handler may do it, and nothing that a waiter could miss. */

#include "core/cancel.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/error.h"
#include "util/guard.h"

struct sos_cancel {
	atomic_int references;
	atomic_bool fired; /* tells without a system call */
	int fd;
};

static int no_descriptor(const char *what, struct sos_error *error)
{
	int code = errno == EMFILE || errno == ENFILE ? SOS_ERROR_LIMIT : SOS_ERROR_SYSTEM;
	return sos_error_errno(error, code, errno, "%s", what);
}

int sos_cancel_new(struct sos_cancel **cancel, struct sos_error *error)
{
	struct sos_cancel *c = calloc(1, sizeof(*c));
	if (!c)
		return sos_error_nomem(error);
	atomic_init(&c->references, 1);
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0) {
		free(c);
		return no_descriptor("eventfd", error);
	}
	*cancel = c;
	return 0;
}

void sos_cancel_fire(struct sos_cancel *cancel)
{
	int before = errno;
	if (!cancel)
		return;
	atomic_store(&cancel->fired, true);
	eventfd_write(cancel->fd, 1);
	errno = before;
}

struct sos_cancel *sos_cancel_ref(struct sos_cancel *cancel)
{
	if (cancel)
		atomic_fetch_add_explicit(&cancel->references, 1, memory_order_relaxed);
	return cancel;
}

void sos_cancel_unref(struct sos_cancel *cancel)
{
	if (!cancel || atomic_fetch_sub(&cancel->references, 1) != 1)
		return;
	close(cancel->fd);
	free(cancel);
}

int sos_cancel_fd(const struct sos_cancel *cancel)
{
	return cancel ? cancel->fd : -1;
}

bool sos_cancel_fired(const struct sos_cancel *cancel)
{
	return cancel && atomic_load(&cancel->fired);
}

bool sos_cancel_fd_fired(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

int sos_cancel_either(int one, int other, int *fd, struct sos_error *error)
{
	SOS_AUTO_CLOSE int both = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	if (both < 0 || epoll_ctl(both, EPOLL_CTL_ADD, one, &event) || epoll_ctl(both, EPOLL_CTL_ADD, other, &event))
		return no_descriptor("epoll", error);
	*fd = sos_steal_fd(&both);
	return 0;
}
