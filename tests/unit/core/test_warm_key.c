/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which container can become which sandbox. */

#include "core/warm_key.h"

#include "../unit.h"

#define SPEC(...)                                                                                                      \
	(struct sos_sandbox_spec)                                                                                      \
	{                                                                                                              \
		.size = sizeof(struct sos_sandbox_spec), __VA_ARGS__                                                   \
	}
#define LIST(...) (const char *const[]){__VA_ARGS__, NULL}

static struct sos_spec *make(struct sos_sandbox_spec asked)
{
	struct sos_spec *spec = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_spec_new(&asked, NULL, &spec, &error), "%s", error.message);
	return spec;
}

static struct sos_warm_fit fit(struct sos_sandbox_spec made, struct sos_sandbox_spec wanted)
{
	struct sos_spec *one = make(made), *other = make(wanted);
	struct sos_warm_fit result = sos_warm_fit(one, other);
	/* Where the key says no nothing else counts. */
	ck_assert(result.way == SOS_WARM_NO || sos_warm_key_equal(one, other));
	ck_assert(sos_warm_key_equal(one, other) == sos_warm_key_equal(other, one));
	sos_spec_free(one);
	sos_spec_free(other);
	return result;
}

/* Every field that can't be given late. */
START_TEST(what_is_fixed)
{
	const struct sos_sandbox_spec others[] = {
		SPEC(.image = "debian"),
		SPEC(.image = "ubuntu:24.04"),
		SPEC(.working_directory = "/tmp"),
		SPEC(.user = "1000"),
		SPEC(.runtime = "runsc"),
		SPEC(.memory_bytes = 64 << 20),
		SPEC(.memory_bytes = -1),
		SPEC(.cpu_millis = 500),
		SPEC(.pids_limit = 100),
		SPEC(.network = SOS_NETWORK_NONE),
		SPEC(.streams = SOS_STREAMS_SEPARATE),
		SPEC(.profile = SOS_PROFILE_STRICT, .network = SOS_NETWORK_BRIDGE),
		SPEC(.flags = SOS_SANDBOX_NEW_PRIVILEGES),
	};
	const struct sos_sandbox_spec plain = SPEC(.image = NULL);
	struct sos_spec *base = make(plain);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct sos_spec *other = make(others[i]);
		ck_assert_msg(fit(plain, others[i]).way == SOS_WARM_NO, "%zu", i);
		ck_assert_msg(fit(others[i], plain).way == SOS_WARM_NO, "%zu", i);
		ck_assert_msg(fit(others[i], others[i]).way == SOS_WARM_AS_IT_IS, "%zu", i);
		ck_assert_msg(sos_warm_key_hash(base) != sos_warm_key_hash(other), "%zu", i);
		sos_spec_free(other);
	}
	sos_spec_free(base);
}
END_TEST

START_TEST(what_is_late)
{
	const struct sos_sandbox_spec plain = SPEC(.image = "ubuntu");
	ck_assert_int_eq(fit(plain, SPEC(.image = "ubuntu:latest")).way, SOS_WARM_AS_IT_IS);
	ck_assert_int_eq(fit(plain, SPEC(.image = "ubuntu", .lifetime_ms = 5000)).way, SOS_WARM_AS_IT_IS);
	ck_assert_int_eq(fit(plain, SPEC(.image = "ubuntu", .idle_timeout_ms = 5000)).way, SOS_WARM_AS_IT_IS);
	ck_assert_int_eq(fit(plain, SPEC(.image = "ubuntu", .labels = LIST("a=b"))).way, SOS_WARM_AS_IT_IS);
	/* What is the default all the same. */
	ck_assert_int_eq(fit(plain, SPEC(.image = "ubuntu", .pids_limit = 512)).way, SOS_WARM_AS_IT_IS);
}
END_TEST

START_TEST(setup)
{
	const struct sos_sandbox_spec none = SPEC(.image = NULL), two = SPEC(.setup_commands = LIST("a", "b")),
				      three = SPEC(.setup_commands = LIST("a", "b", "c"));
	ck_assert_uint_eq(fit(none, three).setup_done, 0);
	ck_assert_int_eq(fit(none, three).way, SOS_WARM_AS_IT_IS);
	ck_assert_uint_eq(fit(two, three).setup_done, 2);
	ck_assert_uint_eq(fit(three, three).setup_done, 3);
	ck_assert_int_eq(fit(three, two).way, SOS_WARM_NO);
	ck_assert_int_eq(fit(two, none).way, SOS_WARM_NO);
	ck_assert_int_eq(fit(two, SPEC(.setup_commands = LIST("a", "c"))).way, SOS_WARM_NO);
	ck_assert_int_eq(fit(two, SPEC(.setup_commands = LIST("a && b"))).way, SOS_WARM_NO);
}
END_TEST

static enum sos_warm_way way(const char *const *made, const char *const *wanted, bool with_setup)
{
	const char *const *commands = with_setup ? LIST("a") : NULL;
	return fit(SPEC(.environment = made, .setup_commands = commands),
		   SPEC(.environment = wanted, .setup_commands = commands))
		.way;
}

START_TEST(environment)
{
	const char *const *a1 = LIST("A=1"), *const *a2 = LIST("A=2"), *const *ab = LIST("A=1", "B=it's"),
		   *const *twice = LIST("A=2", "A=1");
	for (int with_setup = 0; with_setup < 2; with_setup++) {
		ck_assert_int_eq(way(NULL, a1, with_setup), SOS_WARM_AS_IT_IS);
		ck_assert_int_eq(way(a1, a1, with_setup), SOS_WARM_AS_IT_IS);
		ck_assert_int_eq(way(a1, ab, with_setup), SOS_WARM_AS_IT_IS);
		/* The last of a name holds. */
		ck_assert_int_eq(way(a1, twice, with_setup), SOS_WARM_AS_IT_IS);
		ck_assert_int_eq(way(twice, a1, with_setup), SOS_WARM_AS_IT_IS);
	}
	/* What was there before can't be told from what the setup made of it. */
	ck_assert_int_eq(way(a1, a2, false), SOS_WARM_AS_IT_IS);
	ck_assert_int_eq(way(a1, a2, true), SOS_WARM_NO);
	ck_assert_int_eq(way(ab, a1, false), SOS_WARM_NEW_SHELL);
	ck_assert_int_eq(way(ab, a1, true), SOS_WARM_NO);
	ck_assert_int_eq(way(a1, NULL, true), SOS_WARM_NO);
}
END_TEST

/* Names that mean something to a shell at its start, that it has itself, or that are none to it. */
START_TEST(odd_names)
{
	static const char *const odd[] = {
		"PATH=/bin",   "HOME=/",    "IFS=:",	 "SECONDS=5", "RANDOM=1",  "BASH_ENV=/x", "LC_ALL=C", "LANG=C",
		"PS1=x",       "PWD=/",	    "SHLVL=3",	 "a.b=1",     "1A=1",	   "A-B=1",	  "TERM=x",   "ENV=/x",
		"HISTFILE=/x", "OPTIND=2",  "UID=5",	 "_=x",	      "LINENO=1",  "LD_PRELOAD=x", "BASH_FUNC_f%%=() { :; }",
		"PROMPT_COMMAND=x", "POSIXLY_CORRECT=1", "GLOBIGNORE=*", "TZ=UTC", "COLUMNS=5",
	};
	static const char *const plain[] = {"A=1", "_A9=x", "TASK_ID=PATH", "PATHS=1", "HOMEPAGE=x", "MY_HOME=/", "x=", "PS5=1"};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		ck_assert_msg(way(NULL, LIST(odd[i]), false) == SOS_WARM_NEW_SHELL, "%s", odd[i]);
		ck_assert_msg(way(NULL, LIST(odd[i]), true) == SOS_WARM_NO, "%s", odd[i]);
		ck_assert_msg(way(LIST(odd[i]), LIST(odd[i]), true) == SOS_WARM_AS_IT_IS, "%s", odd[i]);
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		ck_assert_msg(way(NULL, LIST(plain[i]), true) == SOS_WARM_AS_IT_IS, "%s", plain[i]);
}
END_TEST

/* What does not fit into a line goes another way; each quote takes four bytes. */
START_TEST(long_ones)
{
	char value[SOS_WARM_EXPORTS_MOST + 8] = "A=";
	memset(value + 2, 'x', SOS_WARM_EXPORTS_MOST - 5);
	value[SOS_WARM_EXPORTS_MOST - 3] = 0;
	ck_assert_int_eq(way(NULL, LIST(value), false), SOS_WARM_AS_IT_IS);
	value[2] = '\'';
	ck_assert_int_eq(way(NULL, LIST(value), false), SOS_WARM_NEW_SHELL);
	value[2] = 'x';
	ck_assert_int_eq(way(NULL, LIST(value, "B=1"), false), SOS_WARM_NEW_SHELL);
	ck_assert_int_eq(way(LIST(value), LIST(value, "B=1"), false), SOS_WARM_AS_IT_IS);
}
END_TEST

START_TEST(what_is_added)
{
	struct sos_spec *made = make(SPEC(.environment = LIST("A=1", "B=2")));
	struct sos_spec *wanted = make(SPEC(.environment = LIST("A=1", "B=3", "C=4", "C=5", "A=1")));
	static const bool want[] = {false, true, false, true, false};
	for (size_t i = 0; i < 5; i++)
		ck_assert_msg(sos_warm_adds(made, wanted, i) == want[i], "%zu", i);
	sos_spec_free(made);
	sos_spec_free(wanted);
}
END_TEST

UNIT_MAIN("warm key", what_is_fixed, what_is_late, setup, environment, odd_names, long_ones, what_is_added)
