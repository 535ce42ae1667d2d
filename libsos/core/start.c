/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of a start. All of it on the caller's thread, under one deadline and
 * one descriptor that cancels; what fails takes back what it made. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "core/cancel.h"
#include "core/launch.h"
#include "core/loop.h"
#include "core/pool.h"
#include "core/result.h"
#include "core/run.h"
#include "core/sandbox.h"
#include "util/buffer.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define TIMEOUT_DEFAULT_MS 600000
#define SETUP_OUTPUT (1024 * 1024)
#define SETUP_SHOWN 600 /* bytes of its output in the message: the last ones, where the error is */

struct start {
	struct sos_starter starter;
	struct sos_start_options options;
	struct sos_launch launch; /* has pool, sandbox, deadline */
	struct sos_watch cancel;  /* of the caller's sos_cancel, a descriptor of our own; -1: none */
	bool slot;
};

static void tell(struct start *start, enum sos_phase phase, const char *text, int64_t current, int64_t total)
{
	if (!start->options.progress)
		return;
	struct sos_progress progress = {
		.size = sizeof(progress),
		.text = text,
		.current = current,
		.total = total,
		.phase = phase,
	};
	start->options.progress(start->options.progress_data, &progress);
}

static int move(struct start *start, enum sos_state to, struct sos_error *error)
{
	SOS_LOCKED(&start->launch.sandbox->lock);
	if (sos_sandbox_move(start->launch.sandbox, to, NULL))
		return 0;
	return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
}

/* ---- begin and end ---- */

static int wrong_state(const struct sos_sandbox *sandbox, struct sos_error *error)
{
	switch (sandbox->state) {
	case SOS_STATE_STOPPING:
	case SOS_STATE_STOPPED:
	case SOS_STATE_LOST:
		return sos_error_set(error, SOS_ERROR_STATE, "it is %s already and can't be started again%s%s",
				     sos_state_name(sandbox->state), *sandbox->reason ? ": " : "", sandbox->reason);
	case SOS_STATE_STARTED:
	case SOS_STATE_EXITED:
	case SOS_STATE_SESSION_LOST:
		return sos_error_set(error, SOS_ERROR_STATE, "it is started already");
	default:
		return sos_error_set(error, SOS_ERROR_STATE, "it is being started already");
	}
}

/* Under both locks, so that a pool that closes either refuses this start or finds it. */
static int begin(struct start *start, struct sos_error *error)
{
	struct sos_pool *pool = start->launch.pool;
	struct sos_sandbox *sandbox = start->launch.sandbox;
	SOS_LOCKED(&pool->lock);
	SOS_LOCKED(&sandbox->lock);
	if (atomic_load(&pool->closing))
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is closed");
	if (sandbox->state != SOS_STATE_CREATED)
		return wrong_state(sandbox, error);
	start->starter.cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (start->starter.cancel_fd < 0)
		return sos_error_errno(error, errno == EMFILE || errno == ENFILE ? SOS_ERROR_LIMIT : SOS_ERROR_SYSTEM,
				       errno, "eventfd");
	sos_ticket_init(&start->starter.ticket, start->options.progress != NULL);
	start->starter.thread = pthread_self();
	sandbox->starter = &start->starter;
	sos_sandbox_move(sandbox, SOS_STATE_QUEUED, "");
	pool->calls++;
	return 0;
}

/* On the loop's thread. What there is to cancel has many places: it is done as by a call from elsewhere. */
static void cancel_fired(struct sos_watch *watch, uint32_t events)
{
	struct start *start = sos_list_entry(watch, struct start, cancel);
	(void)events;
	/* It stays readable. */
	sos_loop_modify(start->launch.pool->loop, watch, 0);
	sos_sandbox_cancel_start(start->launch.sandbox);
}

static int listen_to_cancel(struct start *start, struct sos_error *error)
{
	if (!start->options.cancel)
		return 0;
	/* A copy: the loop tells watches apart by their descriptors, and the same cancel may serve many starts. */
	start->cancel.fd = fcntl(sos_cancel_fd(start->options.cancel), F_DUPFD_CLOEXEC, 3);
	if (start->cancel.fd < 0)
		return sos_error_errno(error, SOS_ERROR_LIMIT, errno, "a descriptor for its cancel");
	start->cancel.ready = cancel_fired;
	int r = sos_loop_add(start->launch.pool->loop, &start->cancel, EPOLLIN);
	return r ? sos_error_errno(error, SOS_ERROR_SYSTEM, -r, "watch its cancel") : 0;
}

/* Whatever broke first: who cancelled wants to be told that. */
static int real_reason_locked(struct start *start, int code, struct sos_error *error)
{
	struct sos_sandbox *sandbox = start->launch.sandbox;
	if (!start->starter.cancelled)
		return code;
	if (start->starter.cancelled == SOS_ERROR_ENDED)
		return sos_error_set(error, SOS_ERROR_ENDED, "it was stopped meanwhile");
	return sos_error_set(error, SOS_ERROR_CANCELLED, "%s",
			     sandbox->state == SOS_STATE_STOPPING ? "the pool is closing" : "the start was cancelled");
}

static int end(struct start *start, int code, struct sos_error *error)
{
	struct sos_pool *pool = start->launch.pool;
	struct sos_sandbox *sandbox = start->launch.sandbox;
	sos_loop_remove(pool->loop, &start->cancel);
	if (start->cancel.fd >= 0)
		close(start->cancel.fd);
	if (start->slot)
		sos_queue_release(&pool->queue);
	pthread_mutex_lock(&sandbox->lock);
	if (code) {
		code = real_reason_locked(start, code, error);
		if (sandbox->state != SOS_STATE_STOPPING)
			sos_sandbox_move(sandbox, SOS_STATE_CREATED, error->message);
	}
	sandbox->starter = NULL;
	bool stopped = sos_sandbox_settle(sandbox);
	pthread_mutex_unlock(&sandbox->lock);
	close(start->starter.cancel_fd);
	sos_ticket_clear(&start->starter.ticket);
	sos_engine_image_clear(&start->launch.image);
	free(start->launch.network);
	if (code) {
		sos_pool_note(pool, code, error);
		sos_event(pool, SOS_EVENT_START_FAILED, sandbox->id, code, "%s", error->message);
	} else {
		sos_event(pool, SOS_EVENT_STARTED, sandbox->id, 0, "started");
	}
	if (stopped)
		sos_event(pool, SOS_EVENT_STOPPED, sandbox->id, 0, "stopped");
	SOS_LOCKED(&pool->lock);
	pool->calls--;
	pthread_cond_broadcast(&pool->changed);
	return code;
}

/* ---- steps ---- */

static int wait_for_slot(struct start *start, struct sos_error *error)
{
	struct sos_pool *pool = start->launch.pool;
	struct sos_sandbox *sandbox = start->launch.sandbox;
	struct sos_ticket *ticket = &start->starter.ticket;
	int64_t deadline = sos_clock_deadline(start->options.queue_timeout_ms);
	/* Under the lock: a cancel before it is seen here, one after it finds the ticket in the queue. */
	pthread_mutex_lock(&sandbox->lock);
	int r = start->starter.cancelled
			? sos_error_set(error, start->starter.cancelled, "cancelled")
			: sos_queue_enter(&pool->queue, ticket, start->options.queue_timeout_ms >= 0, error);
	pthread_mutex_unlock(&sandbox->lock);
	if (r == SOS_QUEUE_WAITING)
		sos_event(pool, SOS_EVENT_QUEUED, sandbox->id, 0, "waits for a slot, place %u",
			  sos_queue_position(&pool->queue, ticket));
	while (r == SOS_QUEUE_WAITING) {
		unsigned position = sos_queue_position(&pool->queue, ticket);
		if (position)
			tell(start, SOS_PHASE_QUEUED, "", position, 0);
		r = sos_queue_wait(&pool->queue, ticket, deadline, error);
	}
	start->slot = !r;
	return r;
}

static void pulling(void *data, const char *text, int64_t current, int64_t total)
{
	tell(data, SOS_PHASE_PULLING, text ? text : "", current, total);
}

/* Two starts that pull the same image share the work inside the Engine, which fetches a layer once. */
static int have_image(struct start *start, struct sos_error *error)
{
	struct sos_launch *launch = &start->launch;
	struct sos_engine *engine = launch->pool->engine;
	const char *image = launch->sandbox->spec->image;
	int r = sos_engine_image_inspect(engine, image, &launch->call, &launch->image, error);
	if (r != SOS_ERROR_NOT_FOUND)
		return r;
	if ((r = move(start, SOS_STATE_PULLING, error)))
		return r;
	tell(start, SOS_PHASE_PULLING, "", 0, 0);
	if ((r = sos_engine_image_pull(engine, image, &launch->call, pulling, start, error)))
		return r;
	if ((r = move(start, SOS_STATE_STARTING, error)))
		return r;
	r = sos_engine_image_inspect(engine, image, &launch->call, &launch->image, error);
	if (r == SOS_ERROR_NOT_FOUND)
		return sos_error_set(error, SOS_ERROR_IMAGE, "image \"%s\" was pulled and is not there", image);
	return r;
}

static int prepare(struct start *start, struct sos_error *error)
{
	struct sos_launch *launch = &start->launch;
	const struct sos_spec *spec = launch->sandbox->spec;
	int r = sos_place(launch->pool, spec->image, &launch->call, &start->slot, error);
	if (r || spec->network == SOS_NETWORK_NONE)
		return r;
	free(SOS_STEAL(launch->network));
	return sos_network(launch->pool, &launch->call, &launch->network, error);
}

/* Take back what an attempt made. False: it is not gone, and the slot went with it. */
static bool take_back(struct start *start)
{
	struct sos_run *run = SOS_STEAL(start->launch.run);
	if (run && !sos_run_discard(run))
		start->slot = false;
	return start->slot;
}

static bool fall_back(struct start *start)
{
	struct sos_launch *launch = &start->launch;
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
static bool mend(struct start *start)
{
	struct sos_launch *launch = &start->launch;
	if (launch->no_init)
		atomic_store(&launch->pool->placed, false);
	if (launch->no_network)
		sos_network_forget(launch->pool);
	return launch->no_init || launch->no_network;
}

static int launch(struct start *start, struct sos_error *error)
{
	struct sos_launch *launch = &start->launch;
	launch->transport = atomic_load(&launch->pool->transport);
	bool mended = false;
	for (;;) {
		int r = prepare(start, error);
		if (r)
			return r;
		if (!(r = sos_launch(launch, error)))
			break;
		if (!take_back(start))
			return r;
		if (fall_back(start))
			continue;
		if (mended || !mend(start))
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

static int run_setup(struct start *start, struct sos_error *error)
{
	struct sos_launch *launch = &start->launch;
	char **commands = launch->sandbox->spec->setup_commands;
	if (!*commands)
		return 0;
	if (!launch->run->session)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "the image has no shell to run setup commands in");
	tell(start, SOS_PHASE_SETUP, "", 0, 0);
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

/* ---- all of it ---- */

/* The moment from which it is started: a stop, a cancel or an end of the container before it wins. */
static int commit(struct start *start, struct sos_error *error)
{
	struct sos_launch *launch = &start->launch;
	struct sos_sandbox *sandbox = launch->sandbox;
	SOS_LOCKED(&sandbox->lock);
	if (launch->run->lost)
		return sos_error_set(error, SOS_ERROR_LOST, "the container ended while it was started");
	if (start->starter.cancelled || !sos_sandbox_move(sandbox, SOS_STATE_STARTED, ""))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	sandbox->shell = launch->shell;
	sandbox->has_shell = true;
	sandbox->started_ns = launch->up_ns;
	sandbox->started_unix_ms = sos_clock_unix_ms() - (sos_clock_ns() - launch->up_ns) / 1000000;
	sandbox->idle_since = sos_clock_ns();
	launch->run->slot = true;
	start->slot = false;
	sos_run_watch(launch->run);
	launch->run = NULL;
	/* From here on a stop removes the container itself. */
	sandbox->starter = NULL;
	return 0;
}

static int go(struct start *start, struct sos_error *error)
{
	struct sos_launch *l = &start->launch;
	int r;
	if ((r = wait_for_slot(start, error)) || (r = move(start, SOS_STATE_STARTING, error)))
		return r;
	int64_t timeout = start->options.timeout_ms > 0 ? start->options.timeout_ms : TIMEOUT_DEFAULT_MS;
	l->call = (struct sos_engine_call){sos_clock_deadline(timeout), start->starter.cancel_fd};
	tell(start, SOS_PHASE_STARTING, "", 0, 0);
	if ((r = sos_pool_complete(l->pool, &l->call, error)) || (r = have_image(start, error)) ||
	    (r = launch(start, error)) || (r = run_setup(start, error)) || (r = commit(start, error))) {
		take_back(start);
		return r;
	}
	return 0;
}

int sos_sandbox_start(struct sos_sandbox *sandbox, const struct sos_start_options *options, struct sos_error *error)
{
	struct start start = {.options = SOS_START_OPTIONS_INIT};
	start.launch.pool = sandbox->pool;
	start.launch.sandbox = sandbox;
	start.launch.starter = &start.starter;
	start.starter.cancel_fd = start.cancel.fd = -1;
	if (options && !sos_spec_copy_sized(&start.options, sizeof(start.options), options, options->size))
		return sos_error_set(error, SOS_ERROR_INVALID, "options: their size %zu is not of a version known here",
				     options->size);
	if (start.options.timeout_ms < 0)
		return sos_error_set(error, SOS_ERROR_INVALID, "timeout_ms: negative");
	struct sos_error e = SOS_ERROR_INIT;
	int r = sos_cancel_fired(start.options.cancel)
			? sos_error_set(&e, SOS_ERROR_CANCELLED, "the start was cancelled")
			: begin(&start, &e);
	if (!r) {
		if (!(r = listen_to_cancel(&start, &e)))
			r = go(&start, &e);
		r = end(&start, r, &e);
	}
	if (r) {
		sos_error_prefix(&e, r, "start sandbox %.8s", sandbox->id);
		sos_error_copy(error, &e);
	}
	return r;
}
