/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/labels.h"
#include "core/pool.h"
#include "core/run.h"
#include "util/buffer.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

/* From now on a stop or a cancel reaches the link; one that came before counts too. */
static int publish(struct sos_launch *launch, struct sos_link *link, struct sos_error *error)
{
	SOS_LOCKED(&launch->sandbox->lock);
	launch->run->link = link;
	launch->sandbox->run = launch->run;
	if (launch->starter->cancelled)
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	return 0;
}

static int make_link(struct sos_launch *launch, const char *directory, struct sos_error *error)
{
	struct sos_link_options options = {.directory = directory, .lost = sos_run_lost, .data = launch->run};
	memcpy(options.nonce, launch->run->nonce, sizeof(options.nonce));
	struct sos_link *link = NULL;
	int r = sos_link_new(launch->pool->loop, &options, &link, error);
	return r ? r : publish(launch, link, error);
}

static int attach(struct sos_launch *launch, struct sos_error *error)
{
	struct sos_engine_stream *stream = NULL;
	int r = sos_engine_attach(launch->pool->engine, launch->run->id, &launch->call, &stream, error);
	if (r)
		return r;
	return sos_link_attach(launch->run->link, stream, launch->transport == SOS_TRANSPORT_AUTO, error);
}

/* The Engine's words are all there is to tell these two from other failures. */
static void judge_failure(struct sos_launch *launch, const struct sos_error *error)
{
	launch->no_init = strstr(error->message, SOS_INIT_DIRECTORY "/") && strstr(error->message, "no such file");
	launch->no_network =
		launch->network && strstr(error->message, "network") && strstr(error->message, "not found");
}

/* PID 1's number on the Engine's host: connections to the socket are judged by it. */
static int tell_pid(struct sos_launch *launch, struct sos_error *error)
{
	struct sos_engine_container container = {0};
	int r = sos_engine_container_inspect(launch->pool->engine, launch->run->id, &launch->call, &container, error);
	/* Gone already: it is removed when it ends. */
	if (r == SOS_ERROR_NOT_FOUND)
		return sos_error_set(error, SOS_ERROR_LOST, "the container ended as soon as it was started");
	if (r)
		return r;
	if (container.pid)
		sos_link_set_pid(launch->run->link, container.pid);
	else
		r = sos_error_set(error, SOS_ERROR_LOST,
				  "the container ended as soon as it was started, exit code %d%s%s",
				  container.exit_code, container.error && *container.error ? ": " : "",
				  container.error ? container.error : "");
	sos_engine_container_clear(&container);
	return r;
}

int sos_launch_record(const struct sos_sandbox *sandbox, struct sos_buffer *record, struct sos_error *error)
{
	const struct sos_spec *spec = sandbox->spec;
	/* Of the warm stock it has no name yet. */
	int failed = sos_buffer_printf(record, "version=1\nsandbox=%s\nimage=%s\nexpires_unix_ms=%lld\n",
				       sandbox->vessel ? "" : sandbox->id, spec->image,
				       (long long)(sos_clock_unix_ms() + spec->lifetime_ms));
	for (char **label = sandbox->vessel ? NULL : spec->labels; !failed && label && *label; label++)
		failed = sos_buffer_printf(record, "label=%s\n", *label);
	return failed ? sos_error_nomem(error) : 0;
}

int sos_launch_set_up(struct sos_launch *launch, struct sos_error *error)
{
	const struct sos_spec *spec = launch->sandbox->spec;
	SOS_AUTO_BUFFER struct sos_buffer record = SOS_BUFFER_INIT;
	int r = sos_launch_record(launch->sandbox, &record, error);
	if (r)
		return r;
	/* What the Engine calls it too. */
	char hostname[13];
	snprintf(hostname, sizeof(hostname), "%.12s", launch->run->id);
	const struct sos_link_setup setup = {
		.lifetime_ms = spec->lifetime_ms + SOS_CLOCK_GRACE_MS,
		.idle_timeout_ms = spec->idle_timeout_ms ? spec->idle_timeout_ms + SOS_CLOCK_GRACE_MS : 0,
		.lease_ms = launch->pool->lease_ms,
		.user = sos_launch_user(launch),
		.working_directory = spec->working_directory,
		.environment = (const char *const *)spec->environment,
		.hostname = hostname,
		.strict = spec->profile == SOS_PROFILE_STRICT,
		.network = spec->network == SOS_NETWORK_BRIDGE,
		.record = record.data,
		.record_length = record.length,
	};
	return sos_link_set_up(launch->run->link, &setup, launch->call.deadline, &launch->shell, error);
}

int sos_launch_open_session(struct sos_launch *launch, struct sos_error *error)
{
	if (launch->shell == SOS_SHELL_NONE)
		return 0;
	struct sos_session *session = NULL;
	int r = sos_session_open(launch->run->link, launch->shell, launch->sandbox->spec->streams,
				 launch->call.deadline, &session, error);
	/* Nobody but this start sees it before STARTED. */
	launch->run->session = session;
	return r;
}

/* The container runs: meet its sos-init. */
static int greet(struct sos_launch *launch, struct sos_error *error)
{
	int r = launch->transport == SOS_TRANSPORT_ATTACH ? 0 : tell_pid(launch, error);
	if (r)
		return r;
	r = sos_link_wait(launch->run->link, launch->call.deadline, launch->call.cancel_fd, error);
	if (r == SOS_ERROR_UNSUPPORTED)
		launch->no_socket = true;
	if (r)
		return sos_error_prefix(error, r, "wait for sos-init");
	launch->up_ns = sos_clock_ns();
	if ((r = sos_launch_set_up(launch, error)))
		return sos_error_prefix(error, r, "set sos-init up");
	if ((r = sos_launch_open_session(launch, error)))
		return sos_error_prefix(error, r, "open the session");
	return 0;
}

/* What costs the Engine most. */
static int make_container(struct sos_launch *launch, const char *directory, struct sos_error *error)
{
	int r;
	if ((r = sos_launch_create(launch, directory, error))) {
		launch->no_socket = directory && r == SOS_ERROR_UNSUPPORTED;
		judge_failure(launch, error);
		return sos_error_prefix(error, r, "create the container");
	}
	if (launch->transport != SOS_TRANSPORT_SOCKET && (r = attach(launch, error)))
		return sos_error_prefix(error, r, "attach to the container");
	struct sos_engine_call firm = launch->call;
	firm.patience_ms = SOS_FIRM_MS;
	if ((r = sos_engine_container_start(launch->pool->engine, launch->run->id, &firm, error))) {
		judge_failure(launch, error);
		return sos_error_prefix(error, r, "start the container");
	}
	return 0;
}

int sos_launch(struct sos_launch *launch, struct sos_error *error)
{
	struct sos_admission *admission = &launch->pool->admission;
	launch->no_socket = launch->no_init = launch->no_network = false;
	int r = sos_run_new(launch->pool, launch->sandbox, launch->sandbox->vessel ? "warm" : NULL, &launch->run, error);
	if (r)
		return r;
	launch->run->transport = launch->transport;
	SOS_AUTO_FREE char *directory = NULL;
	if (launch->transport != SOS_TRANSPORT_ATTACH &&
	    asprintf(&directory, "%s/%.16s", launch->pool->directory, launch->run->nonce_hex) < 0)
		return sos_error_nomem(error);
	if ((r = make_link(launch, directory, error)))
		return sos_error_prefix(error, r, "make the control connection");
	if ((r = sos_admission_enter(admission, launch->admission, launch->call.deadline, launch->call.cancel_fd, error)))
		return r;
	r = make_container(launch, directory, error);
	sos_admission_leave(admission);
	return r ? r : greet(launch, error);
}
