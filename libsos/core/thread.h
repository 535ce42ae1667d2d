/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Threads and condition variables the way this folder wants them: every
 * signal blocked, deadlines of sos_clock. */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "util/clock.h"

/* 0 or an errno. */
static inline int sos_thread_start(pthread_t *thread, void *(*run)(void *), void *data)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(thread, NULL, run, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static inline void sos_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* False: the deadline passed. */
static inline bool sos_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	if (deadline == SOS_CLOCK_NEVER)
		return pthread_cond_wait(cond, mutex) == 0;
	struct timespec at = sos_clock_timespec(deadline);
	return pthread_cond_timedwait(cond, mutex, &at) == 0;
}
