/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/guard.h"
#include "wire/image_ref.h"
#include "wire/utf8.h"

#define MIB (INT64_C(1024) * 1024)
#define DAY_MS (INT64_C(24) * 3600 * 1000)

#define MEMORY_DEFAULT (2048 * MIB)
#define MEMORY_LEAST (6 * MIB) /* the Engine's own floor */
#define CPU_MOST INT64_C(1024000)
#define CPU_LEAST 10
#define PIDS_DEFAULT 512
#define PIDS_LEAST 8
#define PIDS_MOST INT64_C(4194304)
#define LIFETIME_DEFAULT_MS INT64_C(3600000)
#define LIFETIME_MOST_MS (30 * DAY_MS)

/* Environment and labels travel to sos-init in one frame of 160 KiB. */
#define ENVIRONMENT_MOST 1024
#define ENVIRONMENT_BYTES (64u * 1024)
#define LABELS_MOST 256
#define LABELS_BYTES (32u * 1024)
#define SETUP_MOST 4096
#define SETUP_BYTES (16u * 1024 * 1024)

bool sos_spec_copy_sized(void *to, size_t size, const void *from, size_t its_size)
{
	if (its_size < sizeof(size_t) || its_size > 65536)
		return false;
	for (size_t i = size; i < its_size; i++)
		if (((const char *)from)[i])
			return false;
	memset(to, 0, size);
	memcpy(to, from, its_size < size ? its_size : size);
	return true;
}

static void free_strings(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

struct sos_spec *sos_spec_ref(struct sos_spec *spec)
{
	atomic_fetch_add_explicit(&spec->references, 1, memory_order_relaxed);
	return spec;
}

void sos_spec_free(struct sos_spec *spec)
{
	if (!spec || atomic_fetch_sub(&spec->references, 1) != 1)
		return;
	free(spec->image);
	free(spec->working_directory);
	free(spec->user);
	free(spec->runtime);
	free_strings(spec->setup_commands);
	free_strings(spec->environment);
	free_strings(spec->labels);
	free_strings(spec->environment_names);
	free(spec);
}

static void guard_spec(struct sos_spec **spec)
{
	sos_spec_free(*spec);
}

static int copy_string(const char *from, char **to, struct sos_error *error)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : sos_error_nomem(error);
}

static int copy_list(const char *field, const char *const *from, size_t most, size_t most_bytes, char ***to,
		     struct sos_error *error)
{
	size_t count = 0, bytes = 0;
	for (; from && from[count]; count++) {
		if (count >= most)
			return sos_error_set(error, SOS_ERROR_INVALID, "%s: more than %zu entries", field, most);
		bytes += strlen(from[count]) + 1;
		if (bytes > most_bytes)
			return sos_error_set(error, SOS_ERROR_INVALID, "%s: more than %zu KiB", field,
					     most_bytes / 1024);
	}
	*to = calloc(count + 1, sizeof(**to));
	if (!*to)
		return sos_error_nomem(error);
	for (size_t i = 0; i < count; i++)
		if (!((*to)[i] = strdup(from[i])))
			return sos_error_nomem(error);
	return 0;
}

static int check_pairs(const char *field, char **pairs, struct sos_error *error)
{
	for (size_t i = 0; pairs[i]; i++) {
		const char *equals = strchr(pairs[i], '=');
		if (!equals || equals == pairs[i])
			return sos_error_set(error, SOS_ERROR_INVALID, "%s: entry %zu is not NAME=value", field, i);
	}
	return 0;
}

/* The values of an environment are secrets: only the names are ever shown. */
static int make_names(struct sos_spec *spec, struct sos_error *error)
{
	size_t count = 0;
	while (spec->environment[count])
		count++;
	spec->environment_names = calloc(count + 1, sizeof(*spec->environment_names));
	if (!spec->environment_names)
		return sos_error_nomem(error);
	for (size_t i = 0; i < count; i++) {
		const char *pair = spec->environment[i];
		spec->environment_names[i] = strndup(pair, (size_t)(strchr(pair, '=') - pair));
		if (!spec->environment_names[i])
			return sos_error_nomem(error);
	}
	return 0;
}

static int check_labels(char **labels, struct sos_error *error)
{
	int r = check_pairs("labels", labels, error);
	if (r)
		return r;
	for (size_t i = 0; labels[i]; i++) {
		if (!strncmp(labels[i], "sos.", 4))
			return sos_error_set(error, SOS_ERROR_INVALID,
					     "labels: names that begin with \"sos.\" are ours");
		if (strpbrk(labels[i], "\r\n") || !sos_utf8_valid(labels[i], strlen(labels[i])))
			return sos_error_set(error, SOS_ERROR_INVALID, "labels: entry %zu is not one line of UTF-8", i);
	}
	return 0;
}

static bool is_user_part(const char *text, size_t length)
{
	if (!length || length > 64 || *text == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_.-$", text[i]))
			return false;
	return true;
}

static int check_user(const char *user, struct sos_error *error)
{
	const char *colon = strchr(user, ':');
	size_t length = colon ? (size_t)(colon - user) : strlen(user);
	if (!is_user_part(user, length) || (colon && !is_user_part(colon + 1, strlen(colon + 1))))
		return sos_error_set(error, SOS_ERROR_INVALID,
				     "user: \"%.80s\" is not a name, uid, name:group or uid:gid", user);
	return 0;
}

static int check_strings(const struct sos_spec *spec, struct sos_error *error)
{
	struct sos_image_ref reference;
	const char *why;
	if (spec->image && sos_image_ref_parse(spec->image, &reference, &why))
		return sos_error_set(error, SOS_ERROR_INVALID, "image: \"%.200s\": %s", spec->image, why);
	const char *directory = spec->working_directory;
	if (directory && (directory[0] != '/' || strlen(directory) > 4095 || strpbrk(directory, "\r\n")))
		return sos_error_set(error, SOS_ERROR_INVALID, "working_directory: \"%.200s\" is not an absolute path",
				     directory);
	if (directory && !sos_utf8_valid(directory, strlen(directory)))
		return sos_error_set(error, SOS_ERROR_INVALID, "working_directory: not UTF-8");
	if (spec->user && check_user(spec->user, error))
		return SOS_ERROR_INVALID;
	if (spec->runtime && !is_user_part(spec->runtime, strlen(spec->runtime)))
		return sos_error_set(error, SOS_ERROR_INVALID, "runtime: \"%.80s\" is not a name", spec->runtime);
	return 0;
}

static int check_numbers(const struct sos_spec *spec, struct sos_error *error)
{
	if (spec->memory_bytes && spec->memory_bytes != -1 && spec->memory_bytes < MEMORY_LEAST)
		return sos_error_set(error, SOS_ERROR_INVALID, "memory_bytes: at least 6 MiB, or -1 for no limit");
	if (spec->cpu_millis && (spec->cpu_millis < CPU_LEAST || spec->cpu_millis > CPU_MOST))
		return sos_error_set(error, SOS_ERROR_INVALID, "cpu_millis: between %d and %lld, or 0 for no limit",
				     CPU_LEAST, (long long)CPU_MOST);
	if (spec->pids_limit && spec->pids_limit != -1 &&
	    (spec->pids_limit < PIDS_LEAST || spec->pids_limit > PIDS_MOST))
		return sos_error_set(error, SOS_ERROR_INVALID, "pids_limit: between %d and %lld, or -1 for no limit",
				     PIDS_LEAST, (long long)PIDS_MOST);
	if (spec->lifetime_ms < 0 || spec->lifetime_ms > LIFETIME_MOST_MS)
		return sos_error_set(error, SOS_ERROR_INVALID, "lifetime_ms: between 1 and 30 days");
	if (spec->idle_timeout_ms < 0 || spec->idle_timeout_ms > LIFETIME_MOST_MS)
		return sos_error_set(error, SOS_ERROR_INVALID, "idle_timeout_ms: between 1 and 30 days, or 0 for none");
	if (spec->network > SOS_NETWORK_NONE)
		return sos_error_set(error, SOS_ERROR_INVALID, "network: %u is unknown", spec->network);
	if (spec->streams > SOS_STREAMS_SEPARATE)
		return sos_error_set(error, SOS_ERROR_INVALID, "streams: %u is unknown", spec->streams);
	if (spec->profile > SOS_PROFILE_STRICT)
		return sos_error_set(error, SOS_ERROR_INVALID, "profile: %u is unknown", spec->profile);
	if (spec->flags & ~SOS_SANDBOX_NEW_PRIVILEGES)
		return sos_error_set(error, SOS_ERROR_INVALID, "flags: 0x%x is unknown", spec->flags);
	return 0;
}

static int copy_asked(const struct sos_sandbox_spec *asked, struct sos_spec *spec, struct sos_error *error)
{
	struct sos_sandbox_spec a = SOS_SANDBOX_SPEC_INIT;
	if (asked && !sos_spec_copy_sized(&a, sizeof(a), asked, asked->size))
		return sos_error_set(error, SOS_ERROR_INVALID, "spec: its size %zu is not of a version known here",
				     asked->size);
	/* An empty string means what NULL does. */
	const char *const texts[] = {a.image, a.working_directory, a.user, a.runtime};
	char **const copies[] = {&spec->image, &spec->working_directory, &spec->user, &spec->runtime};
	int r;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if ((r = copy_string(texts[i] && *texts[i] ? texts[i] : NULL, copies[i], error)))
			return r;
	if ((r = copy_list("setup_commands", a.setup_commands, SETUP_MOST, SETUP_BYTES, &spec->setup_commands,
			   error)) ||
	    (r = copy_list("environment", a.environment, ENVIRONMENT_MOST, ENVIRONMENT_BYTES, &spec->environment,
			   error)) ||
	    (r = copy_list("labels", a.labels, LABELS_MOST, LABELS_BYTES, &spec->labels, error)))
		return r;
	spec->memory_bytes = a.memory_bytes;
	spec->cpu_millis = a.cpu_millis;
	spec->pids_limit = a.pids_limit;
	spec->lifetime_ms = a.lifetime_ms;
	spec->idle_timeout_ms = a.idle_timeout_ms;
	spec->network = a.network;
	spec->streams = a.streams;
	spec->profile = a.profile;
	spec->flags = a.flags;
	if ((r = check_strings(spec, error)) || (r = check_numbers(spec, error)) ||
	    (r = check_pairs("environment", spec->environment, error)) || (r = check_labels(spec->labels, error)))
		return r;
	return make_names(spec, error);
}

int sos_spec_defaults(const struct sos_sandbox_spec *asked, struct sos_spec **spec, struct sos_error *error)
{
	__attribute__((cleanup(guard_spec))) struct sos_spec *s = calloc(1, sizeof(*s));
	if (!s)
		return sos_error_nomem(error);
	atomic_init(&s->references, 1);
	int r = copy_asked(asked, s, error);
	if (r)
		return r;
	*spec = SOS_STEAL(s);
	return 0;
}

static int fill_string(char **field, const char *pool, const char *library, struct sos_error *error)
{
	return *field ? 0 : copy_string(pool ? pool : library, field, error);
}

#define FILL(field, library) (s->field = s->field ? s->field : d->field ? d->field : (library))

int sos_spec_new(const struct sos_sandbox_spec *asked, const struct sos_spec *defaults, struct sos_spec **spec,
		 struct sos_error *error)
{
	static const struct sos_spec none;
	const struct sos_spec *d = defaults ? defaults : &none;
	__attribute__((cleanup(guard_spec))) struct sos_spec *s = NULL;
	int r = sos_spec_defaults(asked, &s, error);
	if (r)
		return r;
	if ((r = fill_string(&s->image, d->image, "ubuntu:latest", error)) ||
	    (r = fill_string(&s->working_directory, d->working_directory, "", error)) ||
	    (r = fill_string(&s->user, d->user, "", error)) || (r = fill_string(&s->runtime, d->runtime, "", error)))
		return r;
	FILL(memory_bytes, MEMORY_DEFAULT);
	FILL(cpu_millis, 0);
	FILL(pids_limit, PIDS_DEFAULT);
	FILL(lifetime_ms, LIFETIME_DEFAULT_MS);
	FILL(idle_timeout_ms, 0);
	FILL(streams, SOS_STREAMS_MERGED);
	FILL(profile, SOS_PROFILE_STANDARD);
	FILL(flags, 0);
	/* Strict gives no network unless somebody asked for one. */
	FILL(network, s->profile == SOS_PROFILE_STRICT ? SOS_NETWORK_NONE : SOS_NETWORK_BRIDGE);
	*spec = SOS_STEAL(s);
	return 0;
}
