/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/frame.h"

#include "unit.h"

START_TEST(there_and_back_in_pieces)
{
	uint8_t data[256];
	struct sos_frame_writer w;
	struct sos_frame_reader r;
	struct sos_frame frame;
	sos_frame_begin(&w, data, sizeof(data));
	sos_frame_put_u32(&w, 0xdeadbeef);
	sos_frame_put_u64(&w, 0x0123456789abcdef);
	sos_frame_put_string(&w, "text");
	sos_frame_put_bytes(&w, "a\0b", 3);
	size_t size = sos_frame_end(&w, SOS_FRAME_OK, 2, 77);
	ck_assert_uint_eq(size, SOS_FRAME_HEADER + 4 + 8 + 8 + 7);
	for (size_t length = 0; length < size; length++) {
		uint8_t *exact = unit_exact(data, length);
		ck_assert_int_eq(sos_frame_parse(exact, length, &frame), 0);
		free(exact);
	}
	ck_assert_int_eq(sos_frame_parse(data, sizeof(data), &frame), (int)size);
	ck_assert(frame.type == SOS_FRAME_OK && frame.fds == 2 && frame.id == 77);
	sos_frame_reader_init(&r, &frame);
	ck_assert_uint_eq(sos_frame_read_u32(&r), 0xdeadbeef);
	ck_assert_uint_eq(sos_frame_read_u64(&r), 0x0123456789abcdef);
	struct sos_frame_string s = sos_frame_read_string(&r);
	ck_assert(s.length == 4 && memcmp(s.data, "text", 4) == 0);
	s = sos_frame_read_bytes(&r);
	ck_assert(s.length == 3 && memcmp(s.data, "a\0b", 3) == 0);
	ck_assert(sos_frame_read_done(&r));
	ck_assert_uint_eq(sos_frame_read_u32(&r), 0);
	ck_assert(!sos_frame_read_done(&r));
}
END_TEST

START_TEST(limits)
{
	uint8_t head[SOS_FRAME_HEADER], small[SOS_FRAME_HEADER + 4];
	struct sos_frame frame;
	struct sos_frame_writer w;
	sos_frame_head(head, SOS_FRAME_DATA, SOS_FRAME_FDS, 1, SOS_FRAME_MAX);
	ck_assert_int_eq(sos_frame_parse(head, sizeof(head), &frame), 0);
	sos_frame_head(head, SOS_FRAME_DATA, 0, 1, SOS_FRAME_MAX + 1);
	ck_assert_int_eq(sos_frame_parse(head, sizeof(head), &frame), -1);
	sos_frame_head(head, SOS_FRAME_DATA, SOS_FRAME_FDS + 1, 1, 0);
	ck_assert_int_eq(sos_frame_parse(head, sizeof(head), &frame), -1);
	sos_frame_begin(&w, small, sizeof(small));
	sos_frame_put_u32(&w, 1);
	ck_assert_uint_eq(sos_frame_end(&w, 1, 0, 0), sizeof(small));
	sos_frame_put_raw(&w, "x", 1);
	ck_assert_uint_eq(sos_frame_end(&w, 1, 0, 0), 0);
	sos_frame_begin(&w, small, 3);
	ck_assert_uint_eq(sos_frame_end(&w, 1, 0, 0), 0);
}
END_TEST

START_TEST(hostile_payloads)
{
	static const struct {
		const char *bytes;
		size_t length;
	} strings[] = {
		{ "", 0 }, { "\1\0\0", 3 }, { "\5\0\0\0abcd", 8 }, { "\xff\xff\xff\xff", 4 }, { "\3\0\0\0a\0b", 7 }
	};
	struct sos_frame_string list[4];
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		uint8_t *exact = unit_exact(strings[i].bytes, strings[i].length);
		struct sos_frame frame = { .payload = exact, .length = (uint32_t)strings[i].length };
		struct sos_frame_reader r;
		sos_frame_reader_init(&r, &frame);
		ck_assert_uint_eq(sos_frame_read_string(&r).length, 0);
		ck_assert(r.failed && !sos_frame_read_done(&r));
		free(exact);
	}
	static const uint8_t five[] = "\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", lies[] = "\3\0\0\0\0\0\0\0";
	struct sos_frame frame = { .payload = five, .length = 24 };
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, &frame);
	ck_assert_uint_eq(sos_frame_read_list(&r, list, 4), 0); /* more than the caller's array */
	ck_assert(r.failed);
	frame = (struct sos_frame){ .payload = lies, .length = 8 };
	sos_frame_reader_init(&r, &frame);
	ck_assert_uint_eq(sos_frame_read_list(&r, list, 4), 0);
	ck_assert(r.failed);
}
END_TEST

START_TEST(setup_and_spawn)
{
	uint8_t data[1024];
	struct sos_frame frame;
	struct sos_frame_string strings[4], list[] = { { "A=b", 3 }, { "C=", 2 } };
	struct sos_frame_fd fds[] = { { 0, SOS_END_PASSED, 0, 1 }, { 1, SOS_END_DUP, 0, 0 } }, got[SOS_SPAWN_FDS_MAX];
	struct sos_frame_setup setup = { .lifetime_ms = 1,
					 .lease_ms = UINT64_MAX,
					 .flags = SOS_SETUP_STRICT,
					 .user = { "u:g", 3 },
					 .working_directory = { "", 0 },
					 .hostname = { "h", 1 },
					 .record = { "\0r", 2 },
					 .environment = list,
					 .environment_count = 2 },
			       s;
	struct sos_frame_spawn spawn = { .kind = SOS_KIND_SESSION,
					 .flags = SOS_SPAWN_JUDGE,
					 .path = { "/bin/sh", 7 },
					 .argv = list,
					 .argc = 2,
					 .fds = fds,
					 .fd_count = 2 },
			       p;
	size_t size = sos_frame_write_setup(data, sizeof(data), 5, &setup);
	ck_assert_int_eq(sos_frame_parse(data, size, &frame), (int)size);
	ck_assert(sos_frame_read_setup(&frame, &s, strings, 4));
	ck_assert(s.lease_ms == UINT64_MAX && s.flags == SOS_SETUP_STRICT && s.record.length == 2 &&
		  s.environment_count == 2);
	ck_assert(memcmp(s.environment[1].data, "C=", 2) == 0);
	ck_assert(!sos_frame_read_setup(&frame, &s, strings, 1));
	frame.length--;
	ck_assert(!sos_frame_read_setup(&frame, &s, strings, 4));
	size = sos_frame_write_spawn(data, sizeof(data), 6, 1, &spawn);
	ck_assert_int_eq(sos_frame_parse(data, size, &frame), (int)size);
	ck_assert(sos_frame_read_spawn(&frame, &p, strings, 4, got));
	ck_assert(p.argc == 2 && p.fd_count == 2 && got[0].mode == 1 && got[1].end == SOS_END_DUP &&
		  p.path.length == 7);
	for (uint32_t cut = 1; cut <= frame.length; cut++) {
		struct sos_frame less = frame;
		less.length -= cut;
		ck_assert(!sos_frame_read_spawn(&less, &p, strings, 4, got));
	}
}
END_TEST

UNIT_MAIN("frame", there_and_back_in_pieces, limits, hostile_payloads, setup_and_spawn)
