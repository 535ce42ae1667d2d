/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A session's insides, shared by session.c (life, turns, idle output) and
 * session_run.c (one command). */

#include <pthread.h>

#include "core/child.h"
#include "core/driver.h"
#include "core/loop.h"
#include "core/result.h"
#include "core/session.h"

#define SOS_SESSION_TOKENS 32
#define SOS_SESSION_PROBES 8 /* after so many in vain a session's shell is taken for unclean */

/* Whether plain texts may be typed: see driver.h. */
enum sos_shell_clean { SOS_SHELL_UNKNOWN, SOS_SHELL_CLEAN, SOS_SHELL_UNCLEAN };

struct sos_session {
	struct sos_link *link;
	struct sos_loop *loop;
	struct sos_child child;
	struct sos_driver driver;
	bool separate;
	int command_fd, out_fd, err_fd, status_fd, text_fd; /* our ends; err_fd -1 when merged */
	int command_hold; /* the read end too: so that writing never raises SIGPIPE in the host process */

	/* `lock` guards what follows. Whoever has the turn (`busy`) owns the descriptors and the fields below
	 * without it; the loop's thread reads the output pipes, under the lock, only while nobody has. */
	pthread_mutex_t lock;
	struct sos_list waiting; /* struct turn, on their callers' stacks */
	bool busy;
	enum sos_session_end end;
	struct sos_watch out_watch, err_watch;
	bool listening, resting;      /* the watches ask for input; `rest` is set */
	struct sos_timer rest;        /* when it runs out in a session at rest, they shall */
	uint64_t rested;              /* the last command when it was set */
	struct sos_buffer background;
	uint64_t background_dropped;

	/* Of the turn. */
	struct sos_run_number run;    /* of the command that runs, or ran last */
	uint64_t tokens[SOS_SESSION_TOKENS];
	unsigned tokens_left;
	uint64_t before;              /* the sequence of the last command before the caller's own */
	bool typed;                   /* something of this command may have reached the shell */
	struct sos_record last;       /* the record of the command before */
	char flags[SOS_DRIVER_FLAGS]; /* $- as the session began */
	enum sos_shell_clean clean;
	unsigned probes_in_vain;
	char status[512];             /* bytes of the status pipe that are no whole record yet */
	size_t status_length;
	uint64_t junk;                /* bytes of the status pipe since the command began */
	size_t text_size;
};

/* session_run.c: with the turn. */
int sos_session_run(struct sos_session *session, const struct sos_command *command, int cancel_fd,
		    struct sos_result *result, struct sos_error *error);
/* The number of the next command. */
struct sos_run_number sos_session_next(struct sos_session *session);
/* Wait for the record of `session->run` after a line of our own was written; used to open a session.
 * 1: it came; 0: the shell asks for another line without; or a code. */
int sos_session_await(struct sos_session *session, int64_t deadline, struct sos_error *error);

/* session.c: with the turn. */
int sos_session_type(struct sos_session *session, const char *line, size_t length, struct sos_error *error);
