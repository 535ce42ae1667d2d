/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/event.h"

#include <errno.h>
#include <unistd.h>

#include "util/clock.h"

static int epoll_fd = -1;

int sos_event_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

int sos_event_set(struct sos_event *event, uint32_t events)
{
	if (event->events == events)
		return 0;
	int op = !events ? EPOLL_CTL_DEL : event->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	struct epoll_event e = {.events = events, .data.ptr = event};
	if (epoll_ctl(epoll_fd, op, event->fd, &e) < 0)
		return -errno;
	event->events = events;
	return 0;
}

void sos_event_close(struct sos_event *event)
{
	if (event->fd < 0)
		return;
	sos_event_set(event, 0);
	close(event->fd);
	event->fd = -1;
	event->events = 0;
}

void sos_event_wait(int64_t deadline)
{
	struct epoll_event e;
	if (epoll_wait(epoll_fd, &e, 1, sos_clock_poll_ms(deadline)) == 1) {
		struct sos_event *event = e.data.ptr;
		event->ready(event, e.events);
	}
}
