/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests to sos-init and their answers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

#include "core/link.h"

struct sos_link_reply {
	struct sos_list node;
	uint32_t id;
	uint32_t value;   /* the u32 that an OK carries */
	bool done;
	bool refused;     /* ERROR came: errnum and message are sos-init's */
	int errnum;
	char message[256];
};

/* Send a request and wait for its answer. 0 with `reply` filled (also refused), or ENDED, LOST, DEADLINE, SYSTEM. */
int sos_link_call(struct sos_link *link, const void *frame, size_t length, uint32_t id, const int *fds,
		  size_t fd_count, int64_t deadline, struct sos_link_reply *reply, struct sos_error *error);
/* Send a frame whose answer nobody waits for; waits while the way is full. 0 or a code. */
int sos_link_post(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count,
		  int64_t deadline, struct sos_error *error);
uint32_t sos_link_next_id(struct sos_link *link);
