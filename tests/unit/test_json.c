/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/json.h"

#include "unit.h"

static struct sos_json *parse(const char *text)
{
	char *exact = unit_exact(text, strlen(text));
	struct sos_json *json = sos_json_parse(exact, strlen(text));
	free(exact);
	return json;
}

START_TEST(reads)
{
	struct sos_json *json = parse(
		" {\"a\":\"x\\u00e4\",\"n\":-7,\"big\":1e300,\"t\":true,\"o\":{\"k\":\"v\"},\"l\":[\"1\",2]}\r\n");
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(sos_json_get_string(json, "a"), "x\xc3\xa4");
	ck_assert_str_eq(sos_json_get_string(json, "A"), "");
	ck_assert_int_eq(sos_json_get_integer(json, "n"), -7);
	ck_assert_int_eq(sos_json_get_integer(json, "big"), INT64_MAX);
	ck_assert_int_eq(sos_json_get_integer(json, "a"), 0);
	ck_assert(sos_json_get_bool(json, "t"));
	ck_assert(!sos_json_get_bool(json, "n"));
	ck_assert_str_eq(sos_json_get_string(sos_json_get(json, "o"), "k"), "v");
	const struct sos_json *list = sos_json_get(json, "l");
	ck_assert(sos_json_is_array(list) && !sos_json_is_object(list));
	ck_assert_uint_eq(sos_json_count(list), 2);
	ck_assert_str_eq(sos_json_string(sos_json_first(list)), "1");
	ck_assert_str_eq(sos_json_string(sos_json_next(sos_json_first(list))), "");
	ck_assert_str_eq(sos_json_name(sos_json_first(json)), "a");
	sos_json_free(json);
}
END_TEST

START_TEST(nothing_is_neutral)
{
	ck_assert_ptr_null(sos_json_get(NULL, "a"));
	ck_assert_str_eq(sos_json_get_string(NULL, "a"), "");
	ck_assert_int_eq(sos_json_get_integer(NULL, "a"), 0);
	ck_assert(!sos_json_get_bool(NULL, "a"));
	ck_assert_uint_eq(sos_json_count(NULL), 0);
	ck_assert_ptr_null(sos_json_next(NULL));
	ck_assert_str_eq(sos_json_name(NULL), "");
	ck_assert_str_eq(sos_json_string(NULL), "");
	sos_json_free(NULL);
}
END_TEST

START_TEST(what_is_not_json)
{
	static const char *const bad[] = {
		"",          " ",      "{",  "{}x", "{} {}", "{\"a\":}", "[1,]", "nul", "{\"a\":\"\\ud800\"}",
		"{\"a\" 1}", "<html>", "{]", "\xff"
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (parse(bad[i]))
			ck_abort_msg("taken: %s", bad[i]);
	ck_assert_ptr_null(sos_json_parse(NULL, 0));
}
END_TEST

START_TEST(deep_nesting)
{
	static char text[200000];
	memset(text, '[', 100000);
	memset(text + 100000, ']', 100000);
	ck_assert_ptr_null(sos_json_parse(text, sizeof(text)));
	for (size_t i = 0; i + 5 <= 100000; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	ck_assert_ptr_null(sos_json_parse(text, 100000));
}
END_TEST

START_TEST(writes)
{
	static const char *const list[] = { "x", "y", NULL };
	struct sos_buffer out = SOS_BUFFER_INIT;
	struct sos_json_writer w = { .buffer = &out };
	sos_json_begin(&w, NULL, '{');
	sos_json_put_string(&w, "s\"", "a\\\"\n\x01\x7f\xc3\xa4/");
	sos_json_put_integer(&w, "i", INT64_MIN);
	sos_json_put_bool(&w, "b", false);
	sos_json_put_strings(&w, "l", list);
	sos_json_put_strings(&w, "none", NULL);
	sos_json_begin(&w, "o", '{');
	sos_json_end(&w, '}');
	sos_json_begin(&w, "a", '[');
	sos_json_begin(&w, NULL, '{');
	sos_json_end(&w, '}');
	sos_json_put_integer(&w, NULL, 1);
	sos_json_end(&w, ']');
	sos_json_put_bool(&w, "z", true);
	sos_json_end(&w, '}');
	ck_assert(!w.failed);
	ck_assert_str_eq(
		out.data,
		"{\"s\\\"\":\"a\\\\\\\"\\u000a\\u0001\\u007f\xc3\xa4/\",\"i\":-9223372036854775808,\"b\":false,"
		"\"l\":[\"x\",\"y\"],\"none\":[],\"o\":{},\"a\":[{},1],\"z\":true}");
	struct sos_json *json = sos_json_parse(out.data, out.length);
	ck_assert_str_eq(sos_json_get_string(json, "s\""), "a\\\"\n\x01\x7f\xc3\xa4/");
	sos_json_free(json);
	sos_buffer_free(&out);
}
END_TEST

UNIT_MAIN("json", reads, nothing_is_neutral, what_is_not_json, deep_nesting, writes)
