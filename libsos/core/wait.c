/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/wait.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/thread.h"

struct bell {
	struct sos_list node;
	int fd;
};

void sos_condition_init(struct sos_condition *condition)
{
	sos_cond_init(&condition->cond);
	sos_list_init(&condition->bells);
}

void sos_condition_clear(struct sos_condition *condition)
{
	pthread_cond_destroy(&condition->cond);
}

void sos_condition_notify(struct sos_condition *condition)
{
	pthread_cond_broadcast(&condition->cond);
	sos_list_each (node, &condition->bells)
		eventfd_write(sos_list_entry(node, struct bell, node)->fd, 1);
}

int sos_condition_wait(struct sos_condition *condition, pthread_mutex_t *mutex, int64_t deadline, int cancel_fd)
{
	if (cancel_fd < 0)
		return sos_cond_wait(&condition->cond, mutex, deadline) || sos_clock_ns() < deadline
			       ? 0
			       : SOS_ERROR_DEADLINE;
	struct bell bell = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (bell.fd < 0)
		return SOS_ERROR_LIMIT;
	sos_list_append(&condition->bells, &bell.node);
	pthread_mutex_unlock(mutex);
	struct pollfd fds[2] = {{.fd = bell.fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
	int r = poll(fds, 2, sos_clock_poll_ms(deadline));
	pthread_mutex_lock(mutex);
	sos_list_remove(&bell.node);
	close(bell.fd);
	if (r > 0)
		return fds[0].revents ? 0 : SOS_ERROR_CANCELLED;
	return r == 0 && sos_clock_ns() >= deadline ? SOS_ERROR_DEADLINE : 0;
}
