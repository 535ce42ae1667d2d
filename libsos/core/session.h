/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A shell session in a container, and commands beside it: descriptors, the
 * driver's lines, status records, time limits. Knows nothing of pools. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/link.h"

struct sos_session;

struct sos_command {
	const char *text;           /* or NULL with argv */
	size_t text_length;
	const char *const *argv;    /* standalone without a shell */
	const void *stdin_data;     /* standalone */
	size_t stdin_length;
	const char *exec_id;        /* never NULL here */
	int64_t timeout_ms;         /* 0: none */
	int64_t queue_timeout_ms;   /* session: for its turn; 0: none, negative: do not wait */
	int64_t max_output_bytes;   /* > 0 */
	enum sos_streams streams;   /* standalone; MERGED or SEPARATE */
	bool judge;
};

/* One a link at this time; freed before it. */
int sos_session_open(struct sos_link *link, enum sos_shell shell, enum sos_streams streams, int64_t deadline,
		     struct sos_session **session, struct sos_error *error);
/* No call may run on it (end the link first and wait for them). NULL accepted. */
void sos_session_free(struct sos_session *session);
/* Run in order of arrival; blocks. ENDED and LOST by the link; STATE once the session is over. `cancel_fd` (or -1)
 * readable interrupts it as a time limit would (the result says timed_out); before its turn it is not run: CANCELLED. A
 * turn that does not come in time: DEADLINE. */
int sos_session_exec(struct sos_session *session, const struct sos_command *command, int cancel_fd,
		     struct sos_result **result, struct sos_error *error);
/* Run a command that does nothing, where that makes the first one of a caller quicker: it learns what the shell is
 * like, and the shell has been where it will go. What background jobs wrote stays. */
int sos_session_settle(struct sos_session *session, int64_t timeout_ms, int cancel_fd, struct sos_error *error);
/* What a caller's own commands begin with: numbers count from here. */
void sos_session_begin(struct sos_session *session);
/* Of a bash or sh that has waited `waited_s` seconds (as the wall clock counts them) for its sandbox: its clock goes
 * back by so much, and it exports `added` ("NAME=value", NULL-terminated, see core/warm_key.h). Does not wait for it;
 * nobody may use the session meanwhile. */
int sos_session_hand_over(struct sos_session *session, int64_t waited_s, const char *const *added,
			  struct sos_error *error);
bool sos_session_busy(struct sos_session *session);

enum sos_session_end { SOS_SESSION_ALIVE = 0, SOS_SESSION_EXITED = 1, SOS_SESSION_LOST = 2 };
enum sos_session_end sos_session_state(struct sos_session *session);

/* A process of its own; any number at once. With text, `shell` runs it ("bash -c" or "sh -c"). */
int sos_standalone_exec(struct sos_link *link, enum sos_shell shell, const struct sos_command *command,
			int cancel_fd, struct sos_result **result, struct sos_error *error);

/* The sos-init program, embedded: what the pool places into its volume. */
const void *sos_init_image(size_t *length);
/* Its 64-bit FNV-1a hash in hex, for the volume's name. 17 bytes with the NUL. */
void sos_init_hash(char hex[17]);
