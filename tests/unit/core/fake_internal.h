/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the made-up Engine and the made-up links share: one lock, one world. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fake.h"

#define FAKE_MOST 256

struct fake_container {
	char id[65], name[128], pool[80], nonce[40];
};

struct sos_link;

struct fake_world {
	pthread_mutex_t lock; /* guards all of it; callbacks of links run without it */
	struct fake_container containers[FAKE_MOST];
	struct sos_link *links[FAKE_MOST];
	int container_count, most_containers, link_count, session_count, network_count;
	unsigned next_id;
	bool images_missing, no_socket, no_bind;
	unsigned image_version;
	int exported;             /* variables that the last session was given at hand-over */
	char handed_record[1024]; /* of the last hand-over */
};
extern struct fake_world fake;

/* Hang where the test wants it. 0, or why it ended. Descriptors may be -1. */
int fake_hang(enum fake_step step, int64_t deadline, int cancel_fd, int ended_fd, struct sos_error *error);
/* With the lock. The failure of that step, if one is due; *effect says whether it happens all the same. */
int fake_failure(enum fake_step step, bool *effect, struct sos_error *error);
/* With the lock. */
void fake_add_container(const char *name, const char *pool, const char *nonce, char id[65]);
