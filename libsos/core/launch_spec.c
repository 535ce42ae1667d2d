/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The container as the Engine is told of it: SECURITY.md's table in code.
 * Nothing of the tenant's goes in here, least of all secrets: it shows in every
 * `docker inspect`. */

#include <stdio.h>
#include <string.h>

#include "core/labels.h"
#include "core/launch.h"
#include "core/pool.h"
#include "core/run.h"
#include "core/warm_key.h"
#include "util/clock.h"
#include "util/error.h"
#include "wire/frame.h"

/* Docker's own set without NET_RAW, MKNOD, AUDIT_WRITE, SETFCAP and SYS_CHROOT: what children get, and PID 1 with them.
 * The last place is for NET_ADMIN, which PID 1 alone keeps and only where there is a network to close ways in. */
static const char *const standard_caps[] = {
	"CHOWN",  "DAC_OVERRIDE", "FSETID",           "FOWNER", "SETGID",
	"SETUID", "SETPCAP",      "NET_BIND_SERVICE", "KILL",   "NET_ADMIN",
};
static const char *const strict_caps[] = {"SETUID", "SETGID", "SETPCAP", "KILL", "CHOWN", "NET_ADMIN"};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define STRICT_USER "65534:65534"

static bool is_root(const char *user)
{
	size_t length = strcspn(user, ":");
	return !length || (length == 1 && *user == '0') || (length == 4 && !memcmp(user, "root", 4));
}

const char *sos_launch_user(const struct sos_launch *launch)
{
	const struct sos_spec *spec = launch->sandbox->spec;
	if (*spec->user)
		return spec->user;
	const char *user = launch->image.user ? launch->image.user : "";
	return spec->profile == SOS_PROFILE_STRICT && is_root(user) ? STRICT_USER : user;
}

static void fill_caps(const struct sos_spec *spec, const char *caps[])
{
	bool strict = spec->profile == SOS_PROFILE_STRICT;
	const char *const *from = strict ? strict_caps : standard_caps;
	size_t count = strict ? COUNT(strict_caps) : COUNT(standard_caps);
	if (spec->network == SOS_NETWORK_NONE)
		count--;
	memcpy(caps, from, count * sizeof(*caps));
	caps[count] = NULL;
}

/* A limit that this Engine does not have is left out, and told of once. */
static int64_t limit(struct sos_pool *pool, unsigned bit, bool has, int64_t value, const char *name)
{
	if (value <= 0)
		return 0;
	if (has)
		return value;
	if (!(atomic_fetch_or(&pool->limits_told, bit) & bit))
		sos_event(pool, SOS_EVENT_POOL_READY, NULL, SOS_ERROR_UNSUPPORTED,
			  "this Engine has no limit of %s: sandboxes run without it", name);
	return 0;
}

static const char *transport_name(enum sos_transport transport)
{
	return transport == SOS_TRANSPORT_SOCKET ? "socket" : transport == SOS_TRANSPORT_ATTACH ? "attach" : "auto";
}

/* What create's failure says of the container. */
static void judge_failure(struct sos_run *run, int code)
{
	switch (code) {
	case SOS_ERROR_IMAGE:
	case SOS_ERROR_OWNED:
	case SOS_ERROR_UNSUPPORTED:
	case SOS_ERROR_NOT_FOUND:
		run->container = SOS_RUN_NONE;
		break;
	case SOS_ERROR_ENGINE:
		/* It was answered, so nothing is under way: asking once is enough. */
		run->missing_since = 1;
		break;
	}
}

int sos_launch_create(struct sos_launch *launch, const char *directory, struct sos_error *error)
{
	struct sos_run *run = launch->run;
	struct sos_pool *pool = launch->pool;
	const struct sos_spec *spec = launch->sandbox->spec;
	static const char *const entrypoint[] = {SOS_INIT_PATH, NULL};
	static const char *const all[] = {"ALL", NULL};
	const char *caps[COUNT(standard_caps) + 1];
	char nonce[64], lease[48], lifetime[48], transport[32], volume[32], created[24], expires[24], protocol[16], key[24];
	int64_t now = sos_clock_unix_ms() / 1000;

	fill_caps(spec, caps);
	sos_place_volume(volume);
	snprintf(nonce, sizeof(nonce), SOS_ENV_NONCE "=%s", run->nonce_hex);
	snprintf(lease, sizeof(lease), SOS_ENV_LEASE "=%lld", (long long)pool->lease_ms);
	snprintf(lifetime, sizeof(lifetime), SOS_ENV_LIFETIME "=%lld",
		 (long long)spec->lifetime_ms + SOS_CLOCK_GRACE_MS);
	snprintf(transport, sizeof(transport), SOS_ENV_TRANSPORT "=%s", transport_name(launch->transport));
	snprintf(created, sizeof(created), "%lld", (long long)now);
	snprintf(expires, sizeof(expires), "%lld", (long long)(now + spec->lifetime_ms / 1000));
	snprintf(key, sizeof(key), "%016llx", (unsigned long long)sos_warm_key_hash(spec));
	snprintf(protocol, sizeof(protocol), "%u", SOS_PROTOCOL_VERSION);
	const char *const environment[] = {nonce, lease, lifetime, transport, NULL};
	const struct sos_engine_pair labels[] = {
		{SOS_LABEL_POOL, pool->name},
		{SOS_LABEL_NONCE, run->nonce_hex},
		{SOS_LABEL_CREATED, created},
		{SOS_LABEL_EXPIRES, expires},
		{SOS_LABEL_PROTOCOL, protocol},
		/* A container of the warm stock has none yet, and labels can't be changed: which it is of says its key. */
		{launch->sandbox->vessel ? SOS_LABEL_WARM : SOS_LABEL_SANDBOX,
		 launch->sandbox->vessel ? key : launch->sandbox->id},
		{NULL, NULL},
	};
	const struct sos_engine_container_spec container = {
		.name = run->name,
		.image = spec->image,
		.entrypoint = entrypoint,
		.environment = environment,
		.labels = labels,
		.user = "0:0",
		.runtime = *spec->runtime ? spec->runtime : NULL,
		.volume = volume,
		.volume_target = SOS_INIT_DIRECTORY,
		.bind_source = directory,
		.bind_target = directory ? SOS_SOCKET_DIR : NULL,
		.network = launch->network,
		.cap_add = caps,
		.cap_drop = all,
		.memory_bytes = limit(pool, 1, pool->facts.has_memory_limit, spec->memory_bytes, "memory"),
		.nano_cpus = limit(pool, 2, pool->facts.has_cpu_quota, spec->cpu_millis, "CPU") * 1000000,
		.pids_limit = limit(pool, 4, pool->facts.has_pids_limit, spec->pids_limit, "processes"),
		.no_new_privileges = !(spec->flags & SOS_SANDBOX_NEW_PRIVILEGES),
		.auto_remove = true,
		.open_stdin = launch->transport != SOS_TRANSPORT_SOCKET,
	};
	char *id = NULL;
	run->container = SOS_RUN_UNSURE;
	struct sos_engine_call firm = launch->call;
	firm.patience_ms = SOS_FIRM_MS;
	int r = sos_engine_container_create(pool->engine, &container, &firm, &id, error);
	if (r) {
		judge_failure(run, r);
		return r;
	}
	pthread_mutex_lock(&launch->sandbox->lock);
	run->id = id;
	run->container = SOS_RUN_THERE;
	pthread_mutex_unlock(&launch->sandbox->lock);
	return 0;
}
