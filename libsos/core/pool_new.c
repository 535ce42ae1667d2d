/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/cancel.h"
#include "core/loop.h"
#include "core/pool.h"
#include "core/spec.h"
#include "core/thread.h"
#include "core/worker.h"
#include "util/error.h"
#include "util/guard.h"

#define CAPACITY_DEFAULT 10
#define CAPACITY_MOST 10000
#define QUEUE_DEFAULT 1024
#define LEASE_DEFAULT_MS 60000
#define LEASE_LEAST_MS 1000
#define LEASE_MOST_MS (INT64_C(24) * 3600 * 1000)
#define WORKERS 8
#define ENGINE_LIMIT_MOST 256
#define CONNECT_MS 60000
#define LAZY_CONNECT_MS 3000
/* A control connection, eight ends of pipes, and what a start needs for a moment. */
#define DESCRIPTORS_EACH 12
#define DESCRIPTORS_BASE 64
/* sun_path has 108 bytes with its NUL, and below the directory come "/KEY/NONCE/s" with 12 and 16 digits. */
#define RUNTIME_DIR_MOST (107 - (1 + 12 + 1 + 16 + 2))

static struct sos_pool *allocate(void)
{
	struct sos_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	atomic_init(&pool->handles, 1);
	atomic_init(&pool->references, 1);
	pool->abort_fd = pool->close_fd = pool->gate.token = -1;
	pthread_mutex_init(&pool->lock, NULL);
	sos_cond_init(&pool->changed);
	sos_list_init(&pool->sandboxes);
	for (size_t i = 0; i < SOS_POOL_BUCKETS; i++)
		sos_list_init(&pool->buckets[i]);
	sos_queue_init(&pool->queue, 0, 0);
	sos_admission_init(&pool->admission, 1);
	sos_pulls_init(&pool->pulls);
	sos_warm_init(pool);
	return pool;
}

static void guard_pool(struct sos_pool **pool)
{
	if (*pool)
		sos_pool_destroy(*pool);
}

static int check_options(const struct sos_pool_options *o, struct sos_error *error)
{
	size_t length = o->name ? strlen(o->name) : 1;
	if (!length || length > 64)
		return sos_error_set(error, SOS_ERROR_INVALID, "name: 1 to 64 characters");
	for (const char *c = o->name ? o->name : ""; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			return sos_error_set(error, SOS_ERROR_INVALID,
					     "name: \"%s\" has more than letters, digits, _ . and -", o->name);
	if (o->runtime_dir && o->runtime_dir[0] != '/')
		return sos_error_set(error, SOS_ERROR_INVALID, "runtime_dir: \"%.200s\" is not absolute",
				     o->runtime_dir);
	if (o->capacity > CAPACITY_MOST)
		return sos_error_set(error, SOS_ERROR_INVALID, "capacity: at most %d", CAPACITY_MOST);
	if (o->lease_ms && (o->lease_ms < LEASE_LEAST_MS || o->lease_ms > LEASE_MOST_MS))
		return sos_error_set(error, SOS_ERROR_INVALID, "lease_ms: between 1 s and 1 day");
	if (o->transport > SOS_TRANSPORT_ATTACH)
		return sos_error_set(error, SOS_ERROR_INVALID, "transport: %u is unknown", o->transport);
	if (o->flags & ~SOS_POOL_LAZY)
		return sos_error_set(error, SOS_ERROR_INVALID, "flags: 0x%x is unknown", o->flags);
	if (o->warm_policy > SOS_WARM_ADAPTIVE)
		return sos_error_set(error, SOS_ERROR_INVALID, "warm_policy: %u is unknown", o->warm_policy);
	if (o->engine_limit > ENGINE_LIMIT_MOST)
		return sos_error_set(error, SOS_ERROR_INVALID, "engine_limit: at most %d", ENGINE_LIMIT_MOST);
	if (o->timeout_ms < 0)
		return sos_error_set(error, SOS_ERROR_INVALID, "timeout_ms: negative");
	if (sos_cancel_fired(o->cancel))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	return 0;
}

static int check_descriptors(uint32_t capacity, struct sos_error *error)
{
	unsigned long long need = DESCRIPTORS_BASE + (unsigned long long)DESCRIPTORS_EACH * capacity;
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "getrlimit");
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= need)
		return 0;
	return sos_error_set(
		error, SOS_ERROR_LIMIT,
		"a capacity of %u needs %llu descriptors and RLIMIT_NOFILE allows %llu: raise it (ulimit -n %llu)",
		capacity, need, (unsigned long long)limit.rlim_cur, need);
}

static int make_name(struct sos_pool *pool, const char *asked, struct sos_error *error)
{
	unsigned random;
	pool->unique = !asked;
	if (asked)
		pool->name = strdup(asked);
	else if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "getrandom");
	else if (asprintf(&pool->name, "p%ld-%08x", (long)getpid(), random) < 0)
		pool->name = NULL;
	return pool->name ? 0 : sos_error_nomem(error);
}

/* Like mkdir -p, for ourselves alone. 0 or an errno. */
static int make_directories(const char *path)
{
	char copy[PATH_MAX];
	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return ENAMETOOLONG;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(copy, 0700) && errno != EEXIST)
			return errno;
		*slash = '/';
	}
	if (mkdir(copy, 0700) && errno != EEXIST)
		return errno;
	/* Somebody else's directory is no place for our sockets. */
	struct stat st;
	if (stat(copy, &st))
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	return access(copy, W_OK | X_OK) ? errno : 0;
}

static int default_runtime_dir(char *path, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	if (xdg && xdg[0] == '/')
		return snprintf(path, size, "%s/sos", xdg) < (int)size;
	if (geteuid() == 0)
		return snprintf(path, size, "/run/sos") < (int)size;
	char user[64];
	snprintf(user, sizeof(user), "/run/user/%lu", (unsigned long)geteuid());
	return !stat(user, &st) && st.st_uid == geteuid() && snprintf(path, size, "%s/sos", user) < (int)size;
}

/* Without one that was asked for, the pool does without: by attach. `*why` says so. */
static int find_runtime_dir(struct sos_pool *pool, const char *asked, char why[256], struct sos_error *error)
{
	char path[PATH_MAX];
	why[0] = 0;
	if (asked) {
		if (snprintf(path, sizeof(path), "%s", asked) >= (int)sizeof(path))
			path[sizeof(path) - 1] = 0;
	} else if (!default_runtime_dir(path, sizeof(path))) {
		snprintf(why, 256, "there is neither XDG_RUNTIME_DIR nor /run/user/%lu", (unsigned long)geteuid());
		return 0;
	}
	int r = strlen(path) > RUNTIME_DIR_MOST ? ENAMETOOLONG : make_directories(path);
	if (r == ENAMETOOLONG && asked)
		return sos_error_set(error, SOS_ERROR_LIMIT, "runtime_dir: \"%.100s\" is longer than %d bytes", path,
				     RUNTIME_DIR_MOST);
	if (r && asked)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, r, "runtime_dir: make \"%s\"", path);
	if (r) {
		snprintf(why, 256, "\"%.100s\" can't be used: %s", path, strerrordesc_np(r));
		return 0;
	}
	pool->runtime_dir = strdup(path);
	return pool->runtime_dir ? 0 : sos_error_nomem(error);
}

static int choose_transport(struct sos_pool *pool, uint32_t asked, const char *why, struct sos_error *error)
{
	uint32_t transport = asked;
	if (asked == SOS_TRANSPORT_SOCKET && !pool->runtime_dir)
		return sos_error_set(error, SOS_ERROR_LIMIT, "no directory for sockets: %s; set runtime_dir", why);
	if (asked == SOS_TRANSPORT_AUTO && !sos_engine_is_local(pool->engine))
		transport = SOS_TRANSPORT_ATTACH;
	if (asked == SOS_TRANSPORT_AUTO && transport == asked && !pool->runtime_dir) {
		transport = SOS_TRANSPORT_ATTACH;
		sos_event(pool, SOS_EVENT_FALLBACK, NULL, 0, "no directory for sockets: %s; attach streams are used",
			  why);
	}
	atomic_store(&pool->transport, transport);
	return 0;
}

/* The Engine is bound by the cores. */
static void limit_engine(struct sos_pool *pool, uint32_t asked)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned limit = asked ? asked : cores > 0 ? 2 * (unsigned)cores : 2;
	pool->admission.limit = pool->warm.up_limit = limit < ENGINE_LIMIT_MOST ? limit : ENGINE_LIMIT_MOST;
}

static int set_warm(struct sos_pool *pool, const struct sos_pool_options *o, struct sos_error *error)
{
	pool->warm.adaptive = o->warm_policy == SOS_WARM_ADAPTIVE;
	atomic_store(&pool->warm.used, pool->warm.adaptive);
	for (const struct sos_warm_spec *const *each = o->warm; each && *each; each++) {
		struct sos_warm_spec warm = {sizeof(warm)};
		if (!sos_spec_copy_sized(&warm, sizeof(warm), *each, (*each)->size))
			return sos_error_set(error, SOS_ERROR_INVALID, "warm: its size %zu is not of a version known here",
					     (*each)->size);
		int r = sos_pool_set_warm(pool, warm.spec, warm.count, error);
		if (r)
			return sos_error_prefix(error, r, "warm");
	}
	return 0;
}

/* All that needs no Engine. */
static int build(struct sos_pool *pool, const struct sos_pool_options *o, struct sos_error *error)
{
	char why[256];
	int r;
	pool->event = o->event;
	pool->event_data = o->event_data;
	pool->lease_ms = o->lease_ms ? o->lease_ms : LEASE_DEFAULT_MS;
	pool->capacity = o->capacity ? o->capacity : CAPACITY_DEFAULT;
	pool->queue.capacity = pool->capacity;
	pool->queue.limit = o->queue_limit ? o->queue_limit : QUEUE_DEFAULT;
	limit_engine(pool, o->engine_limit);
	if ((r = check_descriptors(pool->capacity, error)) || (r = make_name(pool, o->name, error)))
		return r;
	if ((r = sos_spec_defaults(o->defaults, &pool->defaults, error)))
		return sos_error_prefix(error, r, "defaults");
	pool->abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pool->close_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->abort_fd < 0 || pool->close_fd < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "eventfd");
	if ((r = sos_gate_init(&pool->gate, error)) || (r = sos_engine_new(o->engine, &pool->engine, error)) ||
	    (r = find_runtime_dir(pool, o->runtime_dir, why, error)) ||
	    (r = choose_transport(pool, o->transport, why, error)) || (r = sos_loop_new(&pool->loop, error)))
		return r;
	if (pool->event && (r = sos_workers_new(1, &pool->teller, error)))
		return r;
	return sos_workers_new(WORKERS, &pool->workers, error);
}

int sos_pool_new(const struct sos_pool_options *options, struct sos_pool **pool, struct sos_error *error)
{
	struct sos_pool_options o = SOS_POOL_OPTIONS_INIT;
	if (options && !sos_spec_copy_sized(&o, sizeof(o), options, options->size))
		return sos_error_set(error, SOS_ERROR_INVALID, "options: their size %zu is not of a version known here",
				     options->size);
	int r = check_options(&o, error);
	if (r)
		return r;
	__attribute__((cleanup(guard_pool))) struct sos_pool *p = allocate();
	if (!p)
		return sos_error_nomem(error);
	struct sos_error e = SOS_ERROR_INIT;
	if (build(p, &o, &e))
		return sos_error_copy(error, &e);
	bool lazy = o.flags & SOS_POOL_LAZY;
	int64_t timeout = o.timeout_ms ? o.timeout_ms : lazy ? LAZY_CONNECT_MS : CONNECT_MS;
	struct sos_engine_call call = {.deadline = sos_clock_deadline(timeout), .cancel_fd = sos_cancel_fd(o.cancel)};
	r = sos_pool_complete(p, &call, &e);
	bool later = lazy && (r == SOS_ERROR_UNREACHABLE || r == SOS_ERROR_ENGINE || r == SOS_ERROR_DEADLINE);
	if (r && !later)
		return sos_error_copy(error, &e);
	if (later && (r = sos_pool_complete_later(p, error)))
		return r;
	if ((r = set_warm(p, &o, &e))) {
		sos_pool_free(SOS_STEAL(p));
		return sos_error_copy(error, &e);
	}
	*pool = SOS_STEAL(p);
	return 0;
}
