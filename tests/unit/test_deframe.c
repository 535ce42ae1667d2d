/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/deframe.h"

#include "unit.h"
#include "util/buffer.h"

struct streams {
	struct sos_buffer out, err;
	bool bad, boundary;
};

static void streams_free(struct streams *s)
{
	sos_buffer_free(&s->out);
	sos_buffer_free(&s->err);
}

static struct streams run(const void *bytes, size_t length, size_t piece)
{
	struct sos_deframe deframe = { 0 };
	struct streams s = { 0 };
	for (size_t at = 0; at < length && !s.bad;) {
		size_t n = length - at < piece ? length - at : piece, used = 0, given = 0;
		uint8_t *in = unit_exact((const uint8_t *)bytes + at, n);
		const uint8_t *slice = NULL;
		bool is_stderr = false;
		enum sos_deframe_step step = sos_deframe_read(&deframe, in, n, &used, &slice, &given, &is_stderr);
		ck_assert_uint_le(used, n);
		if (step == SOS_DEFRAME_DATA) {
			ck_assert_uint_gt(given, 0);
			ck_assert(slice >= in && slice + given <= in + used);
			ck_assert_int_eq(sos_buffer_append(is_stderr ? &s.err : &s.out, slice, given), 0);
		} else if (step == SOS_DEFRAME_MORE) {
			ck_assert_uint_eq(used, n);
		}
		s.bad = step == SOS_DEFRAME_BAD;
		free(in);
		at += used;
	}
	s.boundary = sos_deframe_at_boundary(&deframe);
	return s;
}

static const uint8_t stream[] = "\1\0\0\0\0\0\0\5hello"
				"\2\0\0\0\0\0\0\3err"
				"\1\0\0\0\0\0\0\0"
				"\0\0\0\0\0\0\0\1!"
				"\2\0\0\0\0\0\0\10\1\0\0\0\0\0\0\1";

START_TEST(pieces_of_every_size)
{
	for (size_t piece = 1; piece < sizeof(stream); piece++) {
		struct streams s = run(stream, sizeof(stream) - 1, piece);
		ck_assert(!s.bad);
		ck_assert(s.boundary);
		ck_assert_str_eq(s.out.data, "hello!");
		ck_assert_uint_eq(s.err.length, 11);
		ck_assert_mem_eq(s.err.data, "err\1\0\0\0\0\0\0\1", 11);
		streams_free(&s);
	}
}
END_TEST

START_TEST(cut_at_every_byte)
{
	static const size_t boundaries[] = { 0, 13, 24, 32, 41, 57 };
	for (size_t cut = 0; cut < sizeof(stream); cut++) {
		struct streams s = run(stream, cut, 64);
		bool want = false;
		for (size_t i = 0; i < sizeof(boundaries) / sizeof(*boundaries); i++)
			want = want || boundaries[i] == cut;
		ck_assert(!s.bad);
		ck_assert_int_eq(s.boundary, want);
		streams_free(&s);
	}
}
END_TEST

START_TEST(what_is_not_framing)
{
	static const uint8_t bad[][8] = {
		{ 3, 0, 0, 0, 0, 0, 0, 1 },
		{ 'h', 'e', 'l', 'l', 'o' },
		{ 1, 1, 0, 0, 0, 0, 0, 1 },
		{ 1, 0, 1, 0, 0, 0, 0, 1 },
		{ 1, 0, 0, 1, 0, 0, 0, 1 },
		{ 1, 0, 0, 0, 1, 0, 0, 1 },
		{ 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		for (size_t piece = 1; piece <= 8; piece++) {
			struct streams s = run(bad[i], 8, piece);
			ck_assert(s.bad);
			ck_assert(!s.boundary);
			ck_assert_uint_eq(s.out.length + s.err.length, 0);
			streams_free(&s);
		}
}
END_TEST

START_TEST(the_largest_frame)
{
	struct sos_deframe deframe = { 0 };
	const uint8_t *slice;
	size_t used, given;
	bool is_stderr;
	ck_assert_int_eq(
		sos_deframe_read(&deframe, (const uint8_t *)"\1\0\0\0\1\0\0\0x", 9, &used, &slice, &given, &is_stderr),
		SOS_DEFRAME_DATA);
	ck_assert_uint_eq(deframe.left, SOS_DEFRAME_LIMIT - 1);
	ck_assert_uint_eq(used, 9);
}
END_TEST

UNIT_MAIN("deframe", pieces_of_every_size, cut_at_every_byte, what_is_not_framing, the_largest_frame)
