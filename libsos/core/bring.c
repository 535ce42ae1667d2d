/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/bring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "core/pull.h"
#include "core/result.h"
#include "core/run.h"
#include "util/buffer.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define SETUP_OUTPUT (1024 * 1024)
#define SETUP_SHOWN 600 /* bytes of its output in the message: the last ones, where the error is */

static void tell(struct sos_bring *bring, enum sos_phase phase, const char *text, int64_t current, int64_t total)
{
	if (bring->tell)
		bring->tell(bring, phase, text, current, total);
}

int sos_bring_move(struct sos_bring *bring, enum sos_state to, struct sos_error *error)
{
	SOS_LOCKED(&bring->launch.sandbox->lock);
	if (sos_sandbox_move(bring->launch.sandbox, to, NULL))
		return 0;
	return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
}

/* ---- image ---- */

static void pulling(void *data, const char *text, int64_t current, int64_t total)
{
	tell(data, SOS_PHASE_PULLING, text ? text : "", current, total);
}

static int have_image(struct sos_bring *bring, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	struct sos_engine *engine = launch->pool->engine;
	const char *image = launch->sandbox->spec->image;
	int r = sos_engine_image_inspect(engine, image, &launch->call, &launch->image, error);
	if (r != SOS_ERROR_NOT_FOUND)
		return r;
	if ((r = sos_bring_move(bring, SOS_STATE_PULLING, error)))
		return r;
	tell(bring, SOS_PHASE_PULLING, "", 0, 0);
	if ((r = sos_pull(launch->pool, image, &launch->call, pulling, bring, error)))
		return r;
	if ((r = sos_bring_move(bring, SOS_STATE_STARTING, error)))
		return r;
	r = sos_engine_image_inspect(engine, image, &launch->call, &launch->image, error);
	if (r == SOS_ERROR_NOT_FOUND)
		return sos_error_set(error, SOS_ERROR_IMAGE, "image \"%s\" was pulled and is not there", image);
	return r;
}

/* ---- container ---- */

static int prepare(struct sos_bring *bring, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	const struct sos_spec *spec = launch->sandbox->spec;
	int r = sos_place(launch->pool, spec->image, &launch->call, &bring->slot, error);
	if (r || spec->network == SOS_NETWORK_NONE)
		return r;
	free(SOS_STEAL(launch->network));
	return sos_network(launch->pool, &launch->call, &launch->network, error);
}

bool sos_bring_take_back(struct sos_bring *bring)
{
	struct sos_run *run = SOS_STEAL(bring->launch.run);
	if (run && !sos_run_discard(run))
		bring->slot = false;
	return bring->slot;
}

static bool fall_back(struct sos_bring *bring)
{
	struct sos_launch *launch = &bring->launch;
	unsigned undecided = SOS_TRANSPORT_AUTO;
	if (!launch->no_socket || launch->transport != SOS_TRANSPORT_AUTO)
		return false;
	launch->transport = SOS_TRANSPORT_ATTACH;
	if (atomic_compare_exchange_strong(&launch->pool->transport, &undecided, SOS_TRANSPORT_ATTACH))
		sos_event(launch->pool, SOS_EVENT_FALLBACK, NULL, 0,
			  "the Engine does not share our file system: attach streams are used");
	return true;
}

/* What others may take away while we run: the volume, the network. Made again, once. */
static bool mend(struct sos_bring *bring)
{
	struct sos_launch *launch = &bring->launch;
	if (launch->no_init)
		atomic_store(&launch->pool->placed, false);
	if (launch->no_network)
		sos_network_forget(launch->pool);
	return launch->no_init || launch->no_network;
}

static int launch(struct sos_bring *bring, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	launch->transport = atomic_load(&launch->pool->transport);
	bool mended = false;
	for (;;) {
		int r = prepare(bring, error);
		if (r)
			return r;
		if (!(r = sos_launch(launch, error)))
			break;
		if (!sos_bring_take_back(bring))
			return r;
		if (fall_back(bring))
			continue;
		if (mended || !mend(bring))
			return r;
		mended = true;
	}
	if (launch->transport == SOS_TRANSPORT_AUTO) {
		unsigned undecided = SOS_TRANSPORT_AUTO;
		atomic_compare_exchange_strong(&launch->pool->transport, &undecided, SOS_TRANSPORT_SOCKET);
		launch->run->transport = SOS_TRANSPORT_SOCKET;
	}
	return 0;
}

/* ---- setup ---- */

static int join_setup(char **commands, struct sos_buffer *text, struct sos_error *error)
{
	for (char **command = commands; *command; command++)
		if ((command != commands && sos_buffer_append_string(text, " && ")) ||
		    sos_buffer_append_string(text, *command))
			return sos_error_nomem(error);
	return 0;
}

static int setup_failed(const struct sos_result *result, struct sos_error *error)
{
	size_t length;
	const char *output = sos_result_output(result, &length);
	char how[64];
	while (length && strchr(" \t\r\n", output[length - 1]))
		length--;
	size_t from = length > SETUP_SHOWN ? length - SETUP_SHOWN : 0;
	/* Not in the middle of a character. */
	while (from && from < length && ((unsigned char)output[from] & 0xc0) == 0x80)
		from++;
	if (sos_result_exited(result) || sos_result_session_lost(result))
		snprintf(how, sizeof(how), "ended the session (code %d)", sos_result_exit_code(result));
	else
		snprintf(how, sizeof(how), "failed with code %d", sos_result_exit_code(result));
	return sos_error_set(error, SOS_ERROR_SETUP, "setup %s: %s%.*s", how, from ? "..." : "", (int)(length - from),
			     length ? output + from : "");
}

int sos_bring_setup(struct sos_bring *bring, char **commands, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	if (!*commands)
		return 0;
	if (!launch->run->session)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "the image has no shell to run setup commands in");
	tell(bring, SOS_PHASE_SETUP, "", 0, 0);
	SOS_AUTO_BUFFER struct sos_buffer text = SOS_BUFFER_INIT;
	int r = join_setup(commands, &text, error);
	if (r)
		return r;
	int left_ms = sos_clock_poll_ms(launch->call.deadline);
	const struct sos_command command = {
		.text = text.data,
		.text_length = text.length,
		.exec_id = "setup",
		.timeout_ms = left_ms < 0 ? 0 : left_ms + 1,
		.max_output_bytes = SETUP_OUTPUT,
	};
	struct sos_result *result = NULL;
	if ((r = sos_session_exec(launch->run->session, &command, launch->call.cancel_fd, &result, error)))
		return sos_error_prefix(error, r, "setup");
	if (sos_result_timed_out(result))
		r = sos_error_set(error, SOS_ERROR_DEADLINE, "setup did not end in time");
	else if (sos_result_exit_code(result) || sos_result_exited(result) || sos_result_session_lost(result))
		r = setup_failed(result, error);
	sos_result_unref(result);
	return r;
}

int sos_bring_settle(struct sos_bring *bring, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	if (!launch->run->session)
		return 0;
	int left_ms = sos_clock_poll_ms(launch->call.deadline);
	return sos_session_settle(launch->run->session, left_ms < 0 ? 0 : left_ms + 1, launch->call.cancel_fd, error);
}

int sos_bring_up(struct sos_bring *bring, struct sos_error *error)
{
	int r;
	if ((r = sos_pool_complete(bring->launch.pool, &bring->launch.call, error)) || (r = have_image(bring, error)))
		return r;
	return launch(bring, error);
}

void sos_bring_clear(struct sos_bring *bring)
{
	sos_engine_image_clear(&bring->launch.image);
	free(SOS_STEAL(bring->launch.network));
}
