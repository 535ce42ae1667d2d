/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/chunked.h"

#include "unit.h"
#include "util/buffer.h"

/* The whole text in pieces of `piece` bytes. Returns the last step; what was decoded is in `out`; bytes after the end
 * are not touched and counted in `*rest`. */
static enum sos_chunked_step run(const char *text, size_t length, size_t piece, struct sos_buffer *out, size_t *rest)
{
	struct sos_chunked chunked = { 0 };
	enum sos_chunked_step step = SOS_CHUNKED_MORE;
	sos_buffer_clear(out);
	*rest = 0;
	for (size_t at = 0; at < length;) {
		size_t n = length - at < piece ? length - at : piece, used = 0, given = 0;
		uint8_t *in = unit_exact(text + at, n);
		const uint8_t *slice = NULL;
		step = sos_chunked_read(&chunked, in, n, &used, &slice, &given);
		ck_assert_uint_le(used, n);
		if (step == SOS_CHUNKED_DATA) {
			ck_assert_uint_gt(given, 0);
			ck_assert(slice >= in && slice + given <= in + used);
			ck_assert_int_eq(sos_buffer_append(out, slice, given), 0);
		}
		free(in);
		at += used;
		*rest = length - at;
		if (step == SOS_CHUNKED_BAD || step == SOS_CHUNKED_END)
			return step;
		if (step == SOS_CHUNKED_MORE)
			ck_assert_uint_eq(used, n);
	}
	return step;
}

static void expect(const char *text, enum sos_chunked_step want, const char *decoded, size_t want_rest)
{
	struct sos_buffer out = SOS_BUFFER_INIT;
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		size_t rest;
		enum sos_chunked_step step = run(text, strlen(text), piece, &out, &rest);
		if (step == SOS_CHUNKED_DATA)
			step = SOS_CHUNKED_MORE;
		if (step != want)
			ck_abort_msg("step %d for pieces of %zu of: %s", step, piece, text);
		if (decoded)
			ck_assert_str_eq(out.data ? out.data : "", decoded);
		if (want == SOS_CHUNKED_END)
			ck_assert_uint_eq(rest, want_rest);
	}
	sos_buffer_free(&out);
}

START_TEST(good_bodies)
{
	expect("5\r\nhello\r\n0\r\n\r\n", SOS_CHUNKED_END, "hello", 0);
	expect("5;a=b\r\nhello\r\nA \t;x\r\n0123456789\r\n000\r\nX: y\r\nZ: w\r\n\r\nrest", SOS_CHUNKED_END,
	       "hello0123456789", 4);
	expect("0\r\n\r\n", SOS_CHUNKED_END, "", 0);
	expect("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n5", SOS_CHUNKED_END, "\r\n", 1);
	expect("5\r\nhel", SOS_CHUNKED_MORE, "hel", 0);
	expect("000000000000003\r\nabc", SOS_CHUNKED_MORE, "abc", 0);
}
END_TEST

START_TEST(bad_bodies)
{
	expect("\r\n", SOS_CHUNKED_BAD, "", 0);
	expect("x\r\n", SOS_CHUNKED_BAD, "", 0);
	expect("-5\r\nhello", SOS_CHUNKED_BAD, "", 0);
	expect("+5\r\nhello", SOS_CHUNKED_BAD, "", 0);
	expect(" 5\r\nhello", SOS_CHUNKED_BAD, "", 0);
	expect("0x5\r\nhello", SOS_CHUNKED_BAD, "", 0);
	expect("5\nhello", SOS_CHUNKED_BAD, "", 0);
	expect("5\r\rhello", SOS_CHUNKED_BAD, "", 0);
	expect("5;\nhello", SOS_CHUNKED_BAD, "", 0);
	expect("5\r\nhelloX", SOS_CHUNKED_BAD, "hello", 0);
	expect("5\r\nhello\rX", SOS_CHUNKED_BAD, "hello", 0);
	expect("5\r\nhello\n", SOS_CHUNKED_BAD, "hello", 0);
	expect("ffffffffffffffff\r\n", SOS_CHUNKED_BAD, "", 0);
	expect("0\r\n\n", SOS_CHUNKED_BAD, "", 0);
	expect("0\r\nA: b\n", SOS_CHUNKED_BAD, "", 0);
	expect("0\r\n\rX", SOS_CHUNKED_BAD, "", 0);
}
END_TEST

static void endless(const char *start)
{
	struct sos_buffer text = SOS_BUFFER_INIT, out = SOS_BUFFER_INIT;
	size_t rest;
	ck_assert_int_eq(sos_buffer_append_string(&text, start), 0);
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(sos_buffer_append_byte(&text, 'a'), 0);
	ck_assert_int_eq(run(text.data, text.length, 1000, &out, &rest), SOS_CHUNKED_BAD);
	sos_buffer_free(&text);
	sos_buffer_free(&out);
}

START_TEST(overhead_is_bounded)
{
	endless("5;");
	endless("0\r\nA: ");
}
END_TEST

START_TEST(trailers_together_are_bounded)
{
	struct sos_buffer text = SOS_BUFFER_INIT, out = SOS_BUFFER_INIT;
	size_t rest;
	ck_assert_int_eq(sos_buffer_append_string(&text, "0\r\n"), 0);
	for (int i = 0; i < 3000; i++)
		ck_assert_int_eq(sos_buffer_append_string(&text, "A: b\r\n"), 0);
	ck_assert_int_eq(run(text.data, text.length, text.length, &out, &rest), SOS_CHUNKED_BAD);
	sos_buffer_free(&text);
	sos_buffer_free(&out);
}
END_TEST

START_TEST(bad_stays_bad)
{
	struct sos_chunked chunked = { 0 };
	const uint8_t *slice;
	size_t used, given;
	ck_assert_int_eq(sos_chunked_read(&chunked, (const uint8_t *)"x", 1, &used, &slice, &given), SOS_CHUNKED_BAD);
	ck_assert_int_eq(sos_chunked_read(&chunked, (const uint8_t *)"5\r\nhello", 8, &used, &slice, &given),
			 SOS_CHUNKED_BAD);
}
END_TEST

UNIT_MAIN("chunked", good_bodies, bad_bodies, overhead_is_bounded, trailers_together_are_bounded, bad_stays_bad)
