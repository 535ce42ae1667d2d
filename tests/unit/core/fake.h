/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An Engine, links and sessions that exist in memory only, for the pool's own
 * behaviour: any step can fail, before or after it took effect, or hang. */

#include <stdbool.h>

#include <sos/sos.h>

enum fake_step {
	FAKE_CONNECT,
	FAKE_IMAGE,
	FAKE_PULL,
	FAKE_VOLUME,
	FAKE_SIZE,
	FAKE_PUT,
	FAKE_NETWORK,
	FAKE_CREATE,
	FAKE_ATTACH,
	FAKE_START,
	FAKE_INSPECT,
	FAKE_REMOVE,
	FAKE_LIST,
	FAKE_LINK,
	FAKE_WAIT,
	FAKE_SET_UP,
	FAKE_HAND_OVER,
	FAKE_OPEN,
	FAKE_EXEC,
	FAKE_STEPS
};

/* The next `times` calls of that step fail with `code`; `took_effect`: although the thing happened. */
void fake_fail(enum fake_step step, int code, int times, bool took_effect, const char *message);
/* Calls of that step hang until they are cancelled, their link is ended, or fake_release. */
void fake_block(enum fake_step step);
void fake_release(enum fake_step step);
/* Wait until so many calls hang in that step. */
void fake_wait_blocked(enum fake_step step, int count);
int fake_calls(enum fake_step step);

void fake_images_missing(bool missing); /* until pulled */
void fake_images_change(void);          /* their names stand for other ones now */
int fake_containers(void);
int fake_most_containers(void); /* there at one time, ever */
int fake_links(void);           /* not freed yet */
int fake_sessions(void);
int fake_networks(void);
/* A container that an earlier process left. */
void fake_leave(const char *pool);
/* Every container's init reports its end. */
void fake_lose(int code, const char *reason);
/* The socket way does not work from now on. */
void fake_no_socket(bool at_create);
