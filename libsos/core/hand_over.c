/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A container that waited in the stock becomes a sandbox: what sos-init and the
 * shell are told. On the way of a start that takes less than a millisecond, so
 * nothing is waited for unless it can be refused. */

#include <stdio.h>
#include <string.h>

#include "core/link.h"
#include "core/link_call.h"
#include "core/link_internal.h"
#include "core/session_internal.h"
#include "core/warm_key.h"
#include "util/buffer.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define ANSWER_MS 30000

static size_t count_of(const char *const *strings, size_t *bytes)
{
	size_t count = 0;
	*bytes = 0;
	for (; strings && strings[count]; count++)
		*bytes += strlen(strings[count]) + sizeof(uint32_t);
	return count;
}

/* The frame's size, 0: it does not fit. */
static size_t write_frame(void *frame, size_t capacity, uint32_t id, const struct sos_link_handover *h, size_t count)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, capacity);
	sos_frame_put_u64(&w, (uint64_t)h->lifetime_ms);
	sos_frame_put_u64(&w, (uint64_t)h->idle_timeout_ms);
	sos_frame_put_u32(&w, h->environment ? SOS_HANDOVER_ENVIRONMENT : 0);
	sos_frame_put_bytes(&w, h->record, h->record_length);
	sos_frame_put_u32(&w, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		sos_frame_put_string(&w, h->environment[i]);
	return sos_frame_end(&w, SOS_FRAME_HANDOVER, 0, id);
}

int sos_link_hand_over(struct sos_link *link, const struct sos_link_handover *handover, int64_t deadline,
		       struct sos_error *error)
{
	size_t bytes, count = count_of(handover->environment, &bytes);
	size_t capacity = SOS_FRAME_HEADER + 64 + handover->record_length + bytes;
	SOS_AUTO_FREE void *frame = malloc(capacity);
	if (!frame)
		return sos_error_nomem(error);
	pthread_mutex_lock(&link->lock);
	link->idle_clock = handover->idle_timeout_ms > 0;
	uint32_t id = handover->environment ? ++link->next_id : 0;
	pthread_mutex_unlock(&link->lock);
	size_t length = write_frame(frame, capacity, id, handover, count);
	if (!length || length > SOS_FRAME_HEADER + SOS_FRAME_MAX)
		return sos_error_set(error, SOS_ERROR_INVALID, "environment and record are too long: at most %u KiB",
				     SOS_FRAME_MAX / 1024);
	if (sos_clock_deadline(ANSWER_MS) < deadline)
		deadline = sos_clock_deadline(ANSWER_MS);
	if (!id)
		return sos_link_post(link, frame, length, NULL, 0, deadline, error);
	struct sos_link_reply reply;
	int r = sos_link_call(link, frame, length, id, NULL, 0, deadline, &reply, error);
	if (!r && reply.refused)
		return sos_error_set(error, SOS_ERROR_INVALID, "%s", reply.message);
	return r;
}

/* What was there goes before what came meanwhile. */
static int give_back_background(struct sos_session *session, struct sos_result *result)
{
	SOS_LOCKED(&session->lock);
	if (sos_buffer_append(&result->background, session->background.data ? session->background.data : "",
			      session->background.length))
		return -1;
	sos_buffer_free(&session->background);
	session->background = result->background;
	session->background_dropped += result->dropped_background;
	result->background = (struct sos_buffer)SOS_BUFFER_INIT;
	return 0;
}

int sos_session_settle(struct sos_session *session, int64_t timeout_ms, int cancel_fd, struct sos_error *error)
{
	const struct sos_command nothing = {
		.text = ":",
		.text_length = 1,
		.exec_id = "settle",
		.timeout_ms = timeout_ms,
		.max_output_bytes = 1,
	};
	struct sos_result *result = NULL;
	if (session->driver.dialect != SOS_DIALECT_BASH)
		return 0;
	int r = sos_session_exec(session, &nothing, cancel_fd, &result, error);
	/* A shell that the setup left dead, or dying, shows with the caller's own commands. */
	if (r == SOS_ERROR_STATE)
		return 0;
	if (!r && give_back_background(session, result))
		r = sos_error_nomem(error);
	sos_result_unref(result);
	return r;
}

void sos_session_begin(struct sos_session *session)
{
	session->before = session->run.sequence;
}

static int add_export(struct sos_buffer *line, const char *pair)
{
	const char *value = strchr(pair, '=') + 1;
	int failed = sos_buffer_printf(line, " %.*s'", (int)(value - pair), pair);
	for (const char *quote; !failed && (quote = strchr(value, '\'')); value = quote + 1)
		failed = sos_buffer_append(line, value, (size_t)(quote - value)) ||
			 sos_buffer_append_string(line, "'\\''");
	return failed ? failed : sos_buffer_append_string(line, value) || sos_buffer_append_string(line, "'");
}

static int make_line(const struct sos_session *session, int64_t waited_s, const char *const *added,
		     struct sos_buffer *line)
{
	bool bash = session->driver.dialect == SOS_DIALECT_BASH;
	/* What the setup may have made of SECONDS stays: a start value, or a variable like any other. */
	if (bash && waited_s > 0 &&
	    sos_buffer_printf(line, "\\builtin : ${SECONDS+$((SECONDS-=%lld))};", (long long)waited_s))
		return -1;
	if (!added || !*added)
		return 0;
	if (sos_buffer_append_string(line, bash ? "\\builtin export" : "\\export"))
		return -1;
	for (; *added; added++)
		if (add_export(line, *added))
			return -1;
	/* Under set -e a variable that the setup made readonly must not end the shell. */
	return sos_buffer_append_string(line, bash ? "||\\builtin :;" : ";");
}

int sos_session_hand_over(struct sos_session *session, int64_t waited_s, const char *const *added,
			  struct sos_error *error)
{
	SOS_AUTO_BUFFER struct sos_buffer line = SOS_BUFFER_INIT;
	if (make_line(session, waited_s, added, &line))
		return sos_error_nomem(error);
	if (!line.length)
		return 0;
	/* No newline: it becomes the beginning of the first command's line, so that no line is counted for it. Of a session
	 * that was only set up, successfully, that line begins with a command. And the pipe is one page. */
	_Static_assert(SOS_WARM_EXPORTS_MOST + 256 + SOS_DRIVER_LINE + 64 <= 4096, "both lines fit into a page");
	return sos_session_type(session, line.data, line.length, error);
}
