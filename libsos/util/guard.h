/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cleanup guards: an owning local is declared with one of these, leaves by
 * return, and is handed over by steal. */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static inline void sos_guard_free(void *p)
{
	free(*(void **)p);
}

static inline void sos_guard_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void sos_guard_unlock(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

#define SOS_AUTO_FREE __attribute__((cleanup(sos_guard_free)))
#define SOS_AUTO_CLOSE __attribute__((cleanup(sos_guard_close)))

#define SOS_LOCK_CAT_(a, b) a##b
#define SOS_LOCK_NAME_(line) SOS_LOCK_CAT_(sos_locked_, line)
/* Hold `mutex` until the end of the block. */
#define SOS_LOCKED(mutex)                                                                        \
	__attribute__((cleanup(sos_guard_unlock), unused)) pthread_mutex_t *SOS_LOCK_NAME_(__LINE__) = \
		(pthread_mutex_lock(mutex), (mutex))

static inline void *sos_steal_pointer_(void *pp)
{
	void *p = *(void **)pp;
	*(void **)pp = NULL;
	return p;
}
#define SOS_STEAL(p) ((__typeof__(p))sos_steal_pointer_(&(p)))

static inline int sos_steal_fd(int *fd)
{
	int r = *fd;
	*fd = -1;
	return r;
}
