/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/json_scan.h"

#include "unit.h"

static bool scan(const char *text)
{
	return sos_json_scan_text(text, strlen(text));
}

START_TEST(closed_texts)
{
	ck_assert(scan(""));
	ck_assert(scan("1"));
	ck_assert(scan("{\"a\":[1,{\"b\":\"]}{[\\\"\"}]}"));
	ck_assert(!scan("{"));
	ck_assert(!scan("\""));
	ck_assert(!scan("\"\\\""));
	ck_assert(!scan("]"));
	ck_assert(!scan("[]]"));
}
END_TEST

START_TEST(depth)
{
	char text[2 * SOS_JSON_DEPTH_LIMIT + 3] = "";
	memset(text, '[', SOS_JSON_DEPTH_LIMIT);
	memset(text + SOS_JSON_DEPTH_LIMIT, ']', SOS_JSON_DEPTH_LIMIT);
	ck_assert(scan(text));
	memset(text, '[', SOS_JSON_DEPTH_LIMIT + 1);
	memset(text + SOS_JSON_DEPTH_LIMIT + 1, ']', SOS_JSON_DEPTH_LIMIT + 1);
	ck_assert(!scan(text));
}
END_TEST

START_TEST(number_of_values)
{
	size_t size = SOS_JSON_VALUES_LIMIT + 1;
	char *text = malloc(size + 2);
	ck_assert_ptr_nonnull(text);
	memset(text, ',', size);
	text[0] = '[';
	text[size - 1] = ']';
	ck_assert(sos_json_scan_text(text, size));
	text[size - 1] = ',';
	text[size] = ']';
	ck_assert(!sos_json_scan_text(text, size + 1));
	free(text);
}
END_TEST

/* Objects, each followed by "|". */
static struct sos_buffer split(const char *text, size_t piece, size_t limit, bool *bad, bool *boundary)
{
	struct sos_json_split s = { .limit = limit };
	struct sos_buffer got = SOS_BUFFER_INIT;
	size_t length = strlen(text);
	for (size_t at = 0; at < length && !s.bad;) {
		size_t n = length - at < piece ? length - at : piece;
		char *in = unit_exact(text + at, n);
		size_t used = sos_json_split_read(&s, in, n);
		ck_assert_uint_le(used, n);
		ck_assert(used > 0 || s.bad);
		if (s.complete) {
			ck_assert_int_eq(sos_buffer_append(&got, s.object.data, s.object.length), 0);
			ck_assert_int_eq(sos_buffer_append_byte(&got, '|'), 0);
		} else if (!s.bad) {
			ck_assert_uint_eq(used, n);
		}
		free(in);
		at += used;
	}
	*bad = s.bad;
	*boundary = sos_json_split_at_boundary(&s);
	sos_json_split_free(&s);
	return got;
}

static void expect(const char *text, const char *want, bool want_bad, bool want_boundary)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		bool bad, boundary;
		struct sos_buffer got = split(text, piece, 64, &bad, &boundary);
		ck_assert_str_eq(got.data ? got.data : "", want);
		ck_assert_int_eq(bad, want_bad);
		ck_assert_int_eq(boundary, want_boundary);
		sos_buffer_free(&got);
	}
}

START_TEST(splits_in_pieces_of_every_size)
{
	expect("{}", "{}|", false, true);
	expect("{\"a\":\"}\"}\r\n{\"b\":[{},{}]}\r\n", "{\"a\":\"}\"}|{\"b\":[{},{}]}|", false, true);
	expect(" \t{}{} ", "{}|{}|", false, true);
	expect("{}{\"a\"", "{}|", false, false);
	expect("  ", "", false, true);
	expect("{}x{}", "{}|", true, false);
	expect("[{}]", "", true, false);
	expect("null", "", true, false);
	expect("<html>", "", true, false);
	expect("{]", "{]|", false, true); /* the grammar is the parser's to judge */
}
END_TEST

START_TEST(objects_are_bounded)
{
	char text[80] = "{}{\"";
	bool bad, boundary;
	memset(text + 4, 'x', 70);
	for (size_t piece = 1; piece < 80; piece += 7) {
		struct sos_buffer got = split(text, piece, 64, &bad, &boundary);
		ck_assert(bad);
		ck_assert_str_eq(got.data, "{}|");
		sos_buffer_free(&got);
	}
}
END_TEST

UNIT_MAIN("json_scan", closed_texts, depth, number_of_values, splits_in_pieces_of_every_size, objects_are_bounded)
