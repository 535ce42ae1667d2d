/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pulls that several starts share. Who asks for an image that is being pulled
 * already joins that pull and sees its progress; it goes on as long as anybody
 * waits for it. */

#include <pthread.h>

#include <sos/sos.h>

#include "engine/engine.h"
#include "util/list.h"

struct sos_pool;

struct sos_pulls {
	pthread_mutex_t lock; /* guards the list and all that is in it; under it only the workers' may be taken */
	struct sos_list running;
};

void sos_pulls_init(struct sos_pulls *pulls);
void sos_pulls_clear(struct sos_pulls *pulls);

/* Wait until the image was pulled. `progress` runs on this thread, with no lock held. A cancel or a deadline ends the
 * wait; the pull ends when nobody waits any more. */
int sos_pull(struct sos_pool *pool, const char *image, const struct sos_engine_call *call, sos_engine_pull_cb progress,
	     void *data, struct sos_error *error);
