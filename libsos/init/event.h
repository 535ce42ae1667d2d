/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sos-init's readiness: one epoll, one event handled at a time, so that a
 * callback may close or reuse any other watched descriptor. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct sos_event {
	void (*ready)(struct sos_event *event, uint32_t events);
	int fd;
	uint32_t events; /* what it is registered for; 0: not registered */
};

int sos_event_init(void);
/* Register, change, or with `events` 0 remove. 0 or a negative errno. */
int sos_event_set(struct sos_event *event, uint32_t events);
/* Remove and close; `fd` becomes -1. Closed already: nothing happens. */
void sos_event_close(struct sos_event *event);
/* Wait until something is ready or `deadline` (sos_clock) has passed, and handle it. */
void sos_event_wait(int64_t deadline);
