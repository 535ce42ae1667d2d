/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/spec.h"

#include <stddef.h>

#include "../unit.h"

static struct sos_spec *make(const struct sos_sandbox_spec *asked, const struct sos_spec *defaults)
{
	struct sos_spec *spec = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_spec_new(asked, defaults, &spec, &error), "%s", error.message);
	return spec;
}

/* Refused, and the message begins with the field's name. */
static void refuse(struct sos_sandbox_spec asked, const char *field)
{
	struct sos_spec *spec = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_int_eq(sos_spec_new(&asked, NULL, &spec, &error), SOS_ERROR_INVALID);
	ck_assert_ptr_null(spec);
	ck_assert_msg(!strncmp(error.message, field, strlen(field)), "%s", error.message);
}

#define SPEC(...)                                                                                                      \
	(struct sos_sandbox_spec)                                                                                      \
	{                                                                                                              \
		.size = sizeof(struct sos_sandbox_spec), __VA_ARGS__                                                   \
	}

START_TEST(library_defaults)
{
	struct sos_spec *s = make(NULL, NULL);
	ck_assert_str_eq(s->image, "ubuntu:latest");
	ck_assert_str_eq(s->user, "");
	ck_assert_int_eq(s->memory_bytes, INT64_C(2) << 30);
	ck_assert_int_eq(s->pids_limit, 512);
	ck_assert_int_eq(s->lifetime_ms, 3600000);
	ck_assert_uint_eq(s->network, SOS_NETWORK_BRIDGE);
	ck_assert_uint_eq(s->streams, SOS_STREAMS_MERGED);
	ck_assert_uint_eq(s->profile, SOS_PROFILE_STANDARD);
	ck_assert_ptr_null(s->setup_commands[0]);
	ck_assert_ptr_null(s->environment_names[0]);
	sos_spec_free(s);
}
END_TEST

START_TEST(strict_has_no_network_unless_asked)
{
	struct sos_spec *s = make(&SPEC(.profile = SOS_PROFILE_STRICT), NULL);
	ck_assert_uint_eq(s->network, SOS_NETWORK_NONE);
	sos_spec_free(s);
	s = make(&SPEC(.profile = SOS_PROFILE_STRICT, .network = SOS_NETWORK_BRIDGE), NULL);
	ck_assert_uint_eq(s->network, SOS_NETWORK_BRIDGE);
	sos_spec_free(s);
	/* A pool's default asks for it. */
	struct sos_spec *defaults = NULL;
	ck_assert_int_eq(sos_spec_defaults(&SPEC(.network = SOS_NETWORK_BRIDGE), &defaults, NULL), 0);
	s = make(&SPEC(.profile = SOS_PROFILE_STRICT), defaults);
	ck_assert_uint_eq(s->network, SOS_NETWORK_BRIDGE);
	sos_spec_free(s);
	sos_spec_free(defaults);
}
END_TEST

START_TEST(pool_defaults)
{
	const char *const environment[] = {"SECRET=x", NULL};
	struct sos_spec *defaults = NULL;
	ck_assert_int_eq(sos_spec_defaults(&SPEC(.image = "busybox:1", .memory_bytes = -1, .lifetime_ms = 5000,
						 .environment = environment),
					   &defaults, NULL),
			 0);
	struct sos_spec *s = make(&SPEC(.lifetime_ms = 7000), defaults);
	ck_assert_str_eq(s->image, "busybox:1");
	ck_assert_int_eq(s->memory_bytes, -1);
	ck_assert_int_eq(s->lifetime_ms, 7000);
	ck_assert_ptr_null(s->environment[0]);
	sos_spec_free(s);
	sos_spec_free(defaults);
}
END_TEST

START_TEST(copies_deeply)
{
	char image[] = "ubuntu:22.04", pair[] = "NAME=some=value", command[] = "cd /x";
	const char *environment[] = {pair, NULL}, *setup[] = {command, NULL};
	struct sos_spec *s = make(&SPEC(.image = image, .environment = environment, .setup_commands = setup), NULL);
	image[0] = pair[0] = command[0] = 'X';
	environment[0] = setup[0] = NULL;
	ck_assert_str_eq(s->image, "ubuntu:22.04");
	ck_assert_str_eq(s->environment[0], "NAME=some=value");
	ck_assert_str_eq(s->environment_names[0], "NAME");
	ck_assert_str_eq(s->setup_commands[0], "cd /x");
	sos_spec_free(s);
}
END_TEST

START_TEST(refuses)
{
	const char *const no_name[] = {"=x", NULL}, *const no_equals[] = {"A=1", "B", NULL};
	const char *const ours[] = {"sos.pool=x", NULL}, *const lines[] = {"a=b\nc", NULL};
	const char *const bytes[] = {"a=\xff", NULL};
	refuse(SPEC(.image = "Not An Image"), "image");
	refuse(SPEC(.environment = no_name), "environment");
	refuse(SPEC(.environment = no_equals), "environment");
	refuse(SPEC(.labels = ours), "labels");
	refuse(SPEC(.labels = lines), "labels");
	refuse(SPEC(.labels = bytes), "labels");
	refuse(SPEC(.working_directory = "relative"), "working_directory");
	refuse(SPEC(.user = "a b"), "user");
	refuse(SPEC(.user = "a:"), "user");
	refuse(SPEC(.user = ":a"), "user");
	refuse(SPEC(.runtime = "../x"), "runtime");
	refuse(SPEC(.memory_bytes = 1024), "memory_bytes");
	refuse(SPEC(.memory_bytes = -2), "memory_bytes");
	refuse(SPEC(.cpu_millis = -1), "cpu_millis");
	refuse(SPEC(.pids_limit = 7), "pids_limit");
	refuse(SPEC(.lifetime_ms = -1), "lifetime_ms");
	refuse(SPEC(.lifetime_ms = INT64_C(31) * 24 * 3600 * 1000), "lifetime_ms");
	refuse(SPEC(.idle_timeout_ms = -5), "idle_timeout_ms");
	refuse(SPEC(.network = 9), "network");
	refuse(SPEC(.streams = 9), "streams");
	refuse(SPEC(.profile = 9), "profile");
	refuse(SPEC(.flags = 0x80), "flags");
}
END_TEST

START_TEST(bounds_lists)
{
	static char big[70000];
	memset(big, 'x', sizeof(big) - 1);
	big[1] = '=';
	const char *const environment[] = {big, NULL};
	refuse(SPEC(.environment = environment), "environment");
	refuse(SPEC(.labels = environment), "labels");
}
END_TEST

/* A caller of an older or a newer library. */
START_TEST(sizes)
{
	struct {
		struct sos_sandbox_spec spec;
		uint64_t later;
	} newer = {.spec = SPEC(.image = "a"), .later = 0};
	newer.spec.size = sizeof(newer);
	struct sos_spec *s = make(&newer.spec, NULL);
	sos_spec_free(s);
	newer.later = 1;
	struct sos_spec *none = NULL;
	ck_assert_int_eq(sos_spec_new(&newer.spec, NULL, &none, NULL), SOS_ERROR_INVALID);
	struct sos_sandbox_spec older = SPEC(.image = "a", .flags = 0x80);
	older.size = offsetof(struct sos_sandbox_spec, setup_commands);
	s = make(&older, NULL);
	ck_assert_str_eq(s->image, "a");
	ck_assert_uint_eq(s->flags, 0);
	sos_spec_free(s);
	older.size = 0;
	ck_assert_int_eq(sos_spec_new(&older, NULL, &none, NULL), SOS_ERROR_INVALID);
}
END_TEST

UNIT_MAIN("spec", library_defaults, strict_has_no_network_unless_asked, pool_defaults, copies_deeply, refuses,
	  bounds_lists, sizes)
