/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of what the library asked for: shells and standalone commands,
 * with the descriptors kept for them. An entry lives until FORGET, so that a
 * library that comes back learns how it ended. Everything else that PID 1
 * inherits is reaped without a word. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "init/event.h"
#include "init/hunt.h"
#include "init/stream.h"
#include "wire/frame.h"

#define SOS_CHILDREN_MAX 256u

enum sos_child_state {
	SOS_CHILD_FREE,
	SOS_CHILD_STARTING, /* forked; `exec` tells whether the program could be started. With `notify`: nobody asks, to the end */
	SOS_CHILD_RUNNING,
	SOS_CHILD_EXITED
};

struct sos_child {
	enum sos_child_state state;
	uint32_t id, kind;
	pid_t pid;
	char name[64];             /* what was started, for messages */
	struct sos_event exec;     /* STARTING: end of file on success, else struct sos_spawn_failure */
	int notify;                /* an eventfd of the library's: its end is told there; or -1 */
	struct sos_event terminal; /* the master, drained for ever; fd -1 without one */
	int slave;                 /* kept open: without it the terminal would leave the session at once */
	struct sos_stream streams[SOS_SPAWN_FDS_MAX];
	unsigned stream_count; /* ascending targets */
	struct sos_kin kin;    /* of the time of the last signals */
	int64_t put_at;        /* sos_clock: when a file of it was last PUT anew: its command began */
	int status;            /* EXITED, and STARTING if it ended already */
	uint64_t user_us, system_us, max_rss_kib;
	uint64_t ended_at; /* order of ends, to find the oldest */
	bool ended;        /* reaped */
	bool told;         /* EXITED was sent */
	bool held;         /* from before a break: nothing is told before RESUME came to it */
};

/* What a child writes when it could not become the program. */
struct sos_spawn_failure {
	int32_t stage; /* enum sos_spawn_stage */
	int32_t errnum;
};
enum sos_spawn_stage { SOS_STAGE_TERMINAL, SOS_STAGE_DESCRIPTORS, SOS_STAGE_DIRECTORY, SOS_STAGE_USER, SOS_STAGE_EXEC };

struct sos_child *sos_child_find(uint32_t id);
/* Its open stream of that kind; NULL. */
struct sos_stream *sos_child_stream(uint32_t id, uint32_t target, enum sos_stream_kind kind);
/* The i-th entry in use, for loops: NULL past the end. `*i` starts at 0. */
struct sos_child *sos_child_next(unsigned *i);
uint32_t sos_child_count(void);
/* A cleared entry, FREE still; NULL: the table is full. An end that was told and never forgotten makes room. */
struct sos_child *sos_child_new(void);
/* Close all that is kept and free the entry (a living process stays, and is reaped without a word). */
void sos_child_free(struct sos_child *child);
/* FORGET: close what is kept; an entry whose process lives goes when that ends. */
void sos_child_forget(struct sos_child *child);

/* Wait for what ended or stopped; true: there may be more. */
bool sos_child_reap(void);
/* Until some process has ended, at most so long. What SIGCHLD told is taken: call sos_child_reap afterwards. */
void sos_child_wait(int ms);
/* The `exec` pipe has something to say, or the process is gone: answers SPAWN. */
void sos_child_started(struct sos_child *child);
/* The connection broke: from now on its end is told by EXITED. */
void sos_child_unnotify(struct sos_child *child);
/* EXITED, if its output allows. */
void sos_child_tell(struct sos_child *child);
/* Start watching: after the fork. With `notify` nobody waits for the exec: how it went is looked up at the end. */
void sos_child_watch(struct sos_child *child);
