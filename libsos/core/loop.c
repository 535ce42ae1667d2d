/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The listening thread. Watches are found by descriptor in a table, never by a
 * pointer from epoll, so that an event that was already fetched for a watch
 * that is gone meanwhile finds nothing.
 *
 * Lock: `lock` guards the table, the timers and `current`. Callbacks run
 * without it. */

#include "core/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

struct sos_loop {
	pthread_mutex_t lock;
	pthread_cond_t idle;        /* `current` became NULL */
	pthread_t thread;
	bool running, stop;
	int epoll_fd, wake_fd;
	struct sos_watch **watches; /* by descriptor */
	size_t watch_count;
	struct sos_list timers;     /* by deadline, the next one first */
	void *scratch;              /* SOS_LOOP_SCRATCH bytes, the thread's own */
	void *current;              /* the watch or timer whose callback runs */
};

static void wake(struct sos_loop *loop)
{
	uint64_t one = 1;
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* With the lock: run one callback without it. */
static void dispatch_watch(struct sos_loop *loop, int fd, uint32_t events)
{
	struct sos_watch *watch = (size_t)fd < loop->watch_count ? loop->watches[fd] : NULL;
	if (!watch)
		return;
	loop->current = watch;
	pthread_mutex_unlock(&loop->lock);
	watch->ready(watch, events);
	pthread_mutex_lock(&loop->lock);
	loop->current = NULL;
	pthread_cond_broadcast(&loop->idle);
}

/* With the lock: fire what is due; gives the next deadline. */
static int64_t dispatch_timers(struct sos_loop *loop)
{
	while (!sos_list_empty(&loop->timers)) {
		struct sos_timer *timer = sos_list_entry(loop->timers.next, struct sos_timer, node);
		if (timer->deadline > sos_clock_ns())
			return timer->deadline;
		sos_list_remove(&timer->node);
		timer->armed = false;
		loop->current = timer;
		pthread_mutex_unlock(&loop->lock);
		timer->fire(timer);
		pthread_mutex_lock(&loop->lock);
		loop->current = NULL;
		pthread_cond_broadcast(&loop->idle);
	}
	return SOS_CLOCK_NEVER;
}

static void *loop_main(void *data)
{
	struct sos_loop *loop = data;
	struct epoll_event events[32];
	pthread_mutex_lock(&loop->lock);
	while (!loop->stop) {
		int timeout = sos_clock_poll_ms(dispatch_timers(loop));
		pthread_mutex_unlock(&loop->lock);
		int count = epoll_wait(loop->epoll_fd, events, 32, timeout);
		pthread_mutex_lock(&loop->lock);
		for (int i = 0; i < count && !loop->stop; i++) {
			if (events[i].data.fd == loop->wake_fd) {
				uint64_t value;
				if (read(loop->wake_fd, &value, sizeof(value)) < 0) {
					/* already taken: nothing to do */
				}
			} else {
				dispatch_watch(loop, events[i].data.fd, events[i].events);
			}
		}
	}
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

static int start_thread(struct sos_loop *loop)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&loop->thread, NULL, loop_main, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	loop->running = r == 0;
	return r;
}

int sos_loop_new(struct sos_loop **out, struct sos_error *error)
{
	struct sos_loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return sos_error_nomem(error);
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->idle, NULL);
	sos_list_init(&loop->timers);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->scratch = malloc(SOS_LOOP_SCRATCH);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = loop->wake_fd };
	int r = 0;
	if (!loop->scratch)
		r = sos_error_nomem(error);
	else if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0)
		r = sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot make the pool's event loop");
	else if ((r = start_thread(loop)) != 0)
		r = sos_error_errno(error, SOS_ERROR_SYSTEM, r, "cannot start the pool's thread");
	if (r < 0) {
		sos_loop_free(loop);
		return r;
	}
	*out = loop;
	return 0;
}

void sos_loop_free(struct sos_loop *loop)
{
	if (!loop)
		return;
	if (loop->running) {
		pthread_mutex_lock(&loop->lock);
		loop->stop = true;
		pthread_mutex_unlock(&loop->lock);
		wake(loop);
		pthread_join(loop->thread, NULL);
	}
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	free(loop->watches);
	free(loop->scratch);
	pthread_cond_destroy(&loop->idle);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void *sos_loop_scratch(struct sos_loop *loop)
{
	return loop->scratch;
}

bool sos_loop_is_self(struct sos_loop *loop)
{
	return pthread_equal(pthread_self(), loop->thread);
}

static int grow(struct sos_loop *loop, size_t fd)
{
	if (fd < loop->watch_count)
		return 0;
	size_t count = (fd + 64) & ~(size_t)63;
	struct sos_watch **watches = realloc(loop->watches, count * sizeof(struct sos_watch *));
	if (!watches)
		return -ENOMEM;
	memset(watches + loop->watch_count, 0, (count - loop->watch_count) * sizeof(struct sos_watch *));
	loop->watches = watches;
	loop->watch_count = count;
	return 0;
}

int sos_loop_add(struct sos_loop *loop, struct sos_watch *watch, uint32_t events)
{
	SOS_LOCKED(&loop->lock);
	int r = grow(loop, (size_t)watch->fd);
	if (r < 0)
		return r;
	struct epoll_event event = { .events = events, .data.fd = watch->fd };
	loop->watches[watch->fd] = watch;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0) {
		loop->watches[watch->fd] = NULL;
		return -errno;
	}
	watch->added = true;
	return 0;
}

/* No lock: epoll_ctl is atomic, and only the owner of the watch calls this. */
int sos_loop_modify(struct sos_loop *loop, struct sos_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = watch->fd };
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

/* With the lock: wait until the callback of `what` has returned. */
static void settle(struct sos_loop *loop, const void *what)
{
	if (sos_loop_is_self(loop))
		return;
	while (loop->current == what)
		pthread_cond_wait(&loop->idle, &loop->lock);
}

void sos_loop_remove(struct sos_loop *loop, struct sos_watch *watch)
{
	SOS_LOCKED(&loop->lock);
	if (watch->added) {
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		loop->watches[watch->fd] = NULL;
		watch->added = false;
	}
	settle(loop, watch);
}

void sos_timer_init(struct sos_timer *timer, void (*fire)(struct sos_timer *))
{
	*timer = (struct sos_timer){ .fire = fire };
	sos_list_init(&timer->node);
}

void sos_timer_set(struct sos_loop *loop, struct sos_timer *timer, int64_t deadline)
{
	bool first;
	{
		SOS_LOCKED(&loop->lock);
		if (timer->armed)
			sos_list_remove(&timer->node);
		/* From the end: most are lifetimes, and those that are set later end later. */
		struct sos_list *after = loop->timers.prev;
		while (after != &loop->timers && sos_list_entry(after, struct sos_timer, node)->deadline > deadline)
			after = after->prev;
		timer->deadline = deadline;
		timer->armed = true;
		sos_list_append(after->next, &timer->node); /* append puts it before that one */
		first = loop->timers.next == &timer->node;
	}
	if (first && !sos_loop_is_self(loop))
		wake(loop);
}

void sos_timer_cancel(struct sos_loop *loop, struct sos_timer *timer)
{
	SOS_LOCKED(&loop->lock);
	if (timer->armed)
		sos_list_remove(&timer->node);
	timer->armed = false;
	settle(loop, timer);
}
