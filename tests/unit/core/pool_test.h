/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of pools over the made-up Engine share. A failure ends the test. */

#include <pthread.h>
#include <stdatomic.h>

#include <sos/sos.h>

extern atomic_int pool_test_events[32]; /* how many of each enum sos_event_type */
extern char pool_test_message[1024];    /* of the last LOST or EXPIRED */

extern const struct sos_stop_options pool_test_forget;

struct sos_pool_options pool_test_options_of(uint32_t capacity);
struct sos_pool *pool_test_make_pool(uint32_t capacity);
/* With so many warm containers of the default spec. */
struct sos_pool *pool_test_make_warm(uint32_t capacity, uint32_t count, uint32_t policy);
/* Until so many are ready and none is being made: for what only asking can tell. */
void pool_test_until_warm(struct sos_pool *pool, uint32_t ready);
/* The pool's end leaves nothing of anything. */
void pool_test_end_pool(struct sos_pool *pool);
struct sos_sandbox *pool_test_make(struct sos_pool *pool);
struct sos_sandbox *pool_test_start(struct sos_pool *pool);
uint32_t pool_test_state(struct sos_sandbox *sandbox);
struct sos_pool_stats pool_test_stats(struct sos_pool *pool);
/* Until there were so many: for what only an event tells of. */
void pool_test_wait_event(enum sos_event_type type, int want);

/* A call on a thread of its own. */
struct call {
	struct sos_sandbox *sandbox;
	struct sos_start_options options;
	const char *command;
	const char *exec_id;
	int result;
	struct sos_error error;
	struct sos_result *got;
	pthread_t thread;
};

void *pool_test_start_thread(void *call);
void *pool_test_exec_thread(void *call);
void *pool_test_stop_thread(void *call);
void pool_test_launch(struct call *call, struct sos_sandbox *sandbox, void *(*run)(void *));
int pool_test_finish(struct call *call); /* gives its result */
