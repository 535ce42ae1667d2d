/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The starts that are under way, and the one thread that looks after clients: a
 * client that hangs up while its start waits or runs has the start cancelled;
 * connections that only cost a thread are closed when threads run short. */

#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

struct sos_request;

enum sos_load { SOS_LOAD_NONE = 0, SOS_LOAD_SOME = 1, SOS_LOAD_FULL = 2 };

/* Before the HTTP end is started and after it was stopped, since its threads call us. 0 or -1. */
int sos_watcher_start(void);
void sos_watcher_stop(void);
/* The port that clients are connected to. */
void sos_watcher_set_port(uint16_t local_port);
/* How many connections there are, roughly; any thread. */
void sos_watcher_set_load(enum sos_load load);

/* How far a start is. */
struct sos_start_progress {
	uint32_t phase; /* enum sos_phase; 0: none reported yet */
	int64_t current, total;
	char text[256];
};

/* A start under way; lives in the frame of the request that runs it. */
struct sos_start {
	struct sos_start *previous, *next;
	struct sos_request *request;
	struct sos_sandbox *sandbox;
	int64_t since_ns;
	int fd; /* a duplicate of the client's connection; -1: not looked for yet, -2: not found */
	struct sos_start_progress progress;
};

void sos_start_enter(struct sos_start *start, struct sos_request *request, struct sos_sandbox *sandbox);
void sos_start_report(struct sos_start *start, const struct sos_progress *progress);
/* Afterwards the watcher does not know it any more and will not cancel it. */
void sos_start_leave(struct sos_start *start);
/* The progress of the start of that sandbox; false: none runs. */
bool sos_start_find(const char *sandbox_id, struct sos_start_progress *progress);
