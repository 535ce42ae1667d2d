/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program: binds its port, makes its pool, serves, and takes everything
 * down again on SIGTERM, SIGINT or SIGHUP. */

#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sos/sos.h>

#include "connections.h"
#include "http.h"
#include "log.h"
#include "options.h"
#include "server.h"
#include "watcher.h"

#define TUNABLES "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=1048576"
#define DRAIN_MS 5000       /* for replies that clients take slowly */
#define DRAIN_STOPS_MS 20000 /* for stops that wait for the Engine */

static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Many threads and few allocations: one heap for all is smaller than eight a core, and large replies go back
 * to the system at once instead of raising the threshold for good. */
static void keep_heap_small(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

/*
 * Beside the heap glibc keeps freed pieces for each thread, which nothing gives back: over some hundred threads they
 * grew by 4 KiB a sandbox started and removed, to megabytes. It also keeps up to 40 MiB of ended threads' stacks, some
 * 8 KiB of each in memory. Only the environment at a program's start bounds that, so we start again with it. Who sets
 * it already, or preloads another heap, knows better.
 */
static void restart_without_thread_caches(char **argv)
{
	char path[PATH_MAX];
	if (getenv("GLIBC_TUNABLES") || getenv("LD_PRELOAD"))
		return;
	/* By its own name, since exec("/proc/self/exe") would call the process "exe". */
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (length <= 0)
		return;
	path[length] = 0;
	if (setenv("GLIBC_TUNABLES", TUNABLES, 1) == 0)
		execv(path, argv);
	/* It was replaced or may not be run again: it serves as well, only larger. */
}

/* ---- events of the library ---- */

static enum sos_log_level level_of(uint32_t type)
{
	switch (type) {
	case SOS_EVENT_ENGINE_LOST:
	case SOS_EVENT_START_FAILED:
	case SOS_EVENT_LOST:
	case SOS_EVENT_REMOVE_FAILED:
	case SOS_EVENT_FALLBACK:
	case SOS_EVENT_WARM_FAILED:
		return SOS_LOG_WARN;
	case SOS_EVENT_COMMAND:
		return SOS_LOG_DEBUG;
	default:
		return SOS_LOG_INFO;
	}
}

static void log_event(void *data, const struct sos_event *event)
{
	sos_log(level_of(event->type), event->sandbox_id, "%s", event->message ? event->message : "");
}

/* ---- the pool ---- */

static int make_pool(const struct sos_options *options, const char *name, struct sos_pool **pool,
		     struct sos_error *error)
{
	struct sos_sandbox_spec defaults = SOS_SANDBOX_SPEC_INIT;
	defaults.memory_bytes = options->memory_bytes;
	defaults.pids_limit = options->pids_limit;
	defaults.cpu_millis = options->cpu_millis;
	defaults.network = options->network;
	defaults.lifetime_ms = options->lifetime_ms;
	struct sos_pool_options o = SOS_POOL_OPTIONS_INIT;
	o.engine = options->engine;
	o.name = name;
	o.runtime_dir = options->runtime_dir;
	o.defaults = &defaults;
	o.event = log_event;
	o.capacity = options->max_sandboxes;
	o.queue_limit = options->queue_limit;
	o.transport = options->transport;
	o.warm_policy = options->warm_policy;
	o.flags = SOS_POOL_LAZY;
	return sos_pool_new(&o, pool, error);
}

static int warm_up(const struct sos_options *options, struct sos_pool *pool, struct sos_error *error)
{
	int failed = 0;
	for (const char **each = options->warm; each && *each && !failed; each++) {
		struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
		uint32_t count;
		char *image = sos_options_warm(*each, &count);
		spec.image = image;
		failed = sos_pool_set_warm(pool, &spec, count, error);
		free(image);
	}
	return failed;
}

/* ---- running ---- */

static void *exit_on_second_signal(void *set)
{
	int number;
	sigwait(set, &number);
	_exit(1);
}

/* The pool goes on trying by itself; said here is only why it has to. */
static void log_readiness(struct sos_pool *pool)
{
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_pool_ready(pool, 0, NULL, &error) != 0)
		sos_log(SOS_LOG_WARN, NULL, "no sandbox can be started yet: %s", error.message);
}

static void shut_down(struct sos_server *server, sigset_t *signals)
{
	struct sos_pool *pool = atomic_load(&server->pool);
	pthread_t thread;
	if (pthread_create(&thread, NULL, exit_on_second_signal, signals) == 0)
		pthread_detach(thread);
	sos_log(SOS_LOG_INFO, NULL, "shutting down");
	atomic_store(&server->closing, true);
	sos_pool_close(pool);
	if (!sos_http_drain(server->http, DRAIN_MS)) {
		sos_connections_abort(sos_http_port(server->http));
		if (!sos_http_drain(server->http, DRAIN_STOPS_MS)) {
			/* The pool cannot be freed under them; its containers end by their lease. */
			sos_log(SOS_LOG_ERROR, NULL, "%u requests do not end; containers may be left to their lease",
				sos_http_running(server->http));
			_exit(1);
		}
	}
	sos_pool_free(pool);
	atomic_store(&server->pool, NULL);
	sos_http_stop(server->http);
	sos_watcher_stop();
	sos_log(SOS_LOG_INFO, NULL, "ended");
}

static int start(struct sos_server *server)
{
	char error[512];
	if (sos_auth_new(&server->auth, server->options, error, sizeof(error)) != 0) {
		fprintf(stderr, "sos-server: %s\n", error);
		return -1;
	}
	sos_server_size(server);
	struct sos_http_options http = {
		.address = server->options->listen,
		.port = server->options->port,
		.threads = server->threads,
		.handle = sos_server_handle,
		.data = server
	};
	if (sos_watcher_start() != 0) {
		fprintf(stderr, "sos-server: cannot start a thread\n");
		sos_auth_clear(&server->auth);
		return -1;
	}
	if (sos_http_start(&http, &server->http, error, sizeof(error)) != 0) {
		fprintf(stderr, "sos-server: %s\n", error);
		sos_watcher_stop();
		sos_auth_clear(&server->auth);
		return -1;
	}
	sos_watcher_set_port(sos_http_port(server->http));
	return 0;
}

static int serve(const struct sos_options *options, sigset_t *signals)
{
	struct sos_server server = { .options = options };
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;
	char name[32];
	int number;
	if (start(&server) != 0)
		return 1;
	uint16_t port = sos_http_port(server.http);
	snprintf(name, sizeof(name), "server-%u", (unsigned)port);
	const char *pool_name = options->pool ? options->pool : name;
	if (make_pool(options, pool_name, &pool, &error) != 0 || warm_up(options, pool, &error) != 0) {
		fprintf(stderr, "sos-server: %s\n", error.message);
		sos_pool_free(pool);
		sos_http_stop(server.http);
		sos_watcher_stop();
		sos_auth_clear(&server.auth);
		return 1;
	}
	atomic_store(&server.pool, pool);
	sos_log_ready("listening on http://%s:%u (pool %s, %" PRIu32 " sandboxes)", options->listen, (unsigned)port,
		      pool_name, options->max_sandboxes);
	log_readiness(pool);
	sigwait(signals, &number); /* unlike sigwaitinfo it is not ended by a stop and continue, or a debugger */
	shut_down(&server, signals);
	sos_auth_clear(&server.auth);
	return 0;
}

int main(int argc, char **argv)
{
	struct sos_options options;
	sigset_t signals;
	enum sos_options_outcome outcome = sos_options_read(&options, argc, argv);
	if (outcome == SOS_OPTIONS_RUN) {
		restart_without_thread_caches(argv);
		sos_log_set_up(options.log_level, options.log_json);
		keep_heap_small();
		raise_descriptor_limit();
		/* Blocked before there are threads, so that only sigwait takes them. */
		sigemptyset(&signals);
		sigaddset(&signals, SIGTERM);
		sigaddset(&signals, SIGINT);
		sigaddset(&signals, SIGHUP); /* its terminal is gone; nohup ignores it, and so do we then */
		pthread_sigmask(SIG_BLOCK, &signals, NULL);
		signal(SIGPIPE, SIG_IGN);
	}
	int code = outcome == SOS_OPTIONS_RUN ? serve(&options, &signals) : outcome == SOS_OPTIONS_DONE ? 0 : 2;
	sos_options_free(&options);
	return code;
}
