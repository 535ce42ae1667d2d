/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "watcher.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "connections.h"
#include "log.h"
#include "request.h"

#define LOOK_AFTER_NS (50 * INT64_C(1000000)) /* most starts without a queue are not worth the search before */
#define SWEEP_NS INT64_C(1000000000)
#define SWEEP_FULL_NS (100 * INT64_C(1000000))

/*
 * `lock` is over the list of starts and their descriptors. sos_sandbox_cancel_start
 * is called under it, so that a request cannot leave, and another start of the
 * same sandbox begin, between the finding and the cancelling; it does not wait.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sos_start *first;
static atomic_int load;
static atomic_bool ending;
static int wake = -1;
static atomic_uint port; /* 0: not known yet */
static pthread_t thread;

struct polled {
	struct pollfd *fds; /* [0] is `wake` */
	size_t count, capacity;
};

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wake_up(void)
{
	uint64_t one = 1;
	if (wake >= 0 && write(wake, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

/* ---- starts ---- */

void sos_start_enter(struct sos_start *start, struct sos_request *request, struct sos_sandbox *sandbox)
{
	*start = (struct sos_start){ .request = request, .sandbox = sandbox, .since_ns = now_ns(), .fd = -1 };
	pthread_mutex_lock(&lock);
	start->next = first;
	if (first)
		first->previous = start;
	first = start;
	pthread_mutex_unlock(&lock);
	wake_up();
}

void sos_start_report(struct sos_start *start, const struct sos_progress *progress)
{
	pthread_mutex_lock(&lock);
	start->progress.phase = progress->phase;
	start->progress.current = progress->current;
	start->progress.total = progress->total;
	snprintf(start->progress.text, sizeof(start->progress.text), "%s", progress->text ? progress->text : "");
	pthread_mutex_unlock(&lock);
}

void sos_start_leave(struct sos_start *start)
{
	pthread_mutex_lock(&lock);
	if (start->next)
		start->next->previous = start->previous;
	if (start->previous)
		start->previous->next = start->next;
	else
		first = start->next;
	if (start->fd >= 0)
		close(start->fd);
	pthread_mutex_unlock(&lock);
}

bool sos_start_find(const char *sandbox_id, struct sos_start_progress *progress)
{
	bool found = false;
	pthread_mutex_lock(&lock);
	for (const struct sos_start *s = first; s && !found; s = s->next)
		if (s->progress.phase && strcmp(sos_sandbox_id(s->sandbox), sandbox_id) == 0) {
			*progress = s->progress;
			found = true;
		}
	pthread_mutex_unlock(&lock);
	return found;
}

/* ---- the thread ---- */

static bool add_polled(struct polled *polled, int fd)
{
	if (polled->count == polled->capacity) {
		size_t capacity = polled->capacity ? polled->capacity * 2 : 16;
		struct pollfd *fds = realloc(polled->fds, capacity * sizeof(*fds));
		if (!fds)
			return false;
		polled->fds = fds;
		polled->capacity = capacity;
	}
	polled->fds[polled->count++] = (struct pollfd){ .fd = fd, .events = fd == wake ? POLLIN : POLLRDHUP };
	return true;
}

/* Collect the clients to listen to; returns when the next one is to be looked for (INT64_MAX: none). The search
 * runs under the lock, since the request must not leave meanwhile; it is made once a start. */
static int64_t collect(struct polled *polled)
{
	int64_t now = now_ns(), due = INT64_MAX;
	polled->count = 0;
	add_polled(polled, wake);
	pthread_mutex_lock(&lock);
	for (struct sos_start *s = first; s; s = s->next) {
		if (s->fd == -1 && now - s->since_ns >= LOOK_AFTER_NS) {
			s->fd = sos_connection_descriptor(&s->request->busy, NULL);
			if (s->fd < 0)
				s->fd = -2;
		}
		if (s->fd >= 0)
			add_polled(polled, s->fd);
		else if (s->fd == -1 && s->since_ns + LOOK_AFTER_NS < due)
			due = s->since_ns + LOOK_AFTER_NS;
	}
	pthread_mutex_unlock(&lock);
	return due;
}

/* The client behind that descriptor hung up. It may be another's by now, so it is asked again. */
static void cancel_gone(int fd)
{
	char id[64] = "";
	pthread_mutex_lock(&lock);
	for (struct sos_start *s = first; s; s = s->next) {
		struct pollfd again = { .fd = fd, .events = POLLRDHUP };
		if (s->fd != fd || poll(&again, 1, 0) != 1)
			continue;
		sos_sandbox_cancel_start(s->sandbox);
		close(s->fd);
		s->fd = -2;
		snprintf(id, sizeof(id), "%s", sos_sandbox_id(s->sandbox));
		break;
	}
	pthread_mutex_unlock(&lock);
	if (id[0])
		sos_log(SOS_LOG_INFO, id, "the client went away while the sandbox was started");
}

static int timeout_ms(int64_t due)
{
	int64_t left = due == INT64_MAX ? -1 : due - now_ns();
	if (due == INT64_MAX)
		return -1;
	return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static void *run(void *data)
{
	struct polled polled = { 0 };
	int64_t last_sweep = now_ns();
	while (!atomic_load(&ending)) {
		int64_t due = collect(&polled);
		int now_load = atomic_load(&load);
		int64_t interval = now_load == SOS_LOAD_FULL ? SWEEP_FULL_NS : SWEEP_NS;
		if (now_load != SOS_LOAD_NONE && last_sweep + interval < due)
			due = last_sweep + interval;
		int n = poll(polled.fds, polled.count, timeout_ms(due));
		uint64_t count;
		if (n > 0 && polled.fds[0].revents && read(wake, &count, sizeof(count)) < 0)
			break;
		for (size_t i = 1; n > 0 && i < polled.count; i++)
			if (polled.fds[i].revents)
				cancel_gone(polled.fds[i].fd);
		now_load = atomic_load(&load);
		interval = now_load == SOS_LOAD_FULL ? SWEEP_FULL_NS : SWEEP_NS;
		if (now_load != SOS_LOAD_NONE && now_ns() - last_sweep >= interval) {
			sos_connections_sweep((uint16_t)atomic_load(&port), now_load == SOS_LOAD_FULL);
			last_sweep = now_ns();
		}
	}
	free(polled.fds);
	return NULL;
}

int sos_watcher_start(void)
{
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0)
		return -1;
	if (pthread_create(&thread, NULL, run, NULL) != 0) {
		close(wake);
		wake = -1;
		return -1;
	}
	return 0;
}

void sos_watcher_set_port(uint16_t local_port)
{
	atomic_store(&port, local_port);
}

void sos_watcher_stop(void)
{
	if (wake < 0)
		return;
	atomic_store(&ending, true);
	wake_up();
	pthread_join(thread, NULL);
	close(wake);
	wake = -1;
}

void sos_watcher_set_load(enum sos_load new_load)
{
	if (atomic_exchange(&load, (int)new_load) < (int)new_load)
		wake_up();
}
