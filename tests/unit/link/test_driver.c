/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/driver.h"

#include <stdio.h>

#include "unit.h"

/* All of `data`, given in two pieces split at `at`: the records found, as sequence numbers. */
static unsigned parse_split(const char *data, size_t length, size_t at, struct sos_record records[8])
{
	char pending[4096];
	size_t have = 0;
	unsigned found_count = 0;
	size_t ends[2] = { at, length };
	size_t from = 0;
	for (int i = 0; i < 2; i++) {
		memcpy(pending + have, data + from, ends[i] - from);
		have += ends[i] - from;
		from = ends[i];
		for (;;) {
			bool found;
			struct sos_record record;
			char *exact = unit_exact(pending, have);
			size_t used = have ? sos_record_parse(exact, have, &record, &found) : 0;
			free(exact);
			if (!used)
				break;
			ck_assert_uint_le(used, have);
			if (found)
				records[found_count++] = record;
			memmove(pending, pending + used, have - used);
			have -= used;
		}
	}
	return found_count;
}

START_TEST(a_record_at_every_split)
{
	static const char data[] = "\0S12.99 130 himBHs 4711\0\0S13.7 0 hB \0";
	size_t length = sizeof(data) - 1;
	for (size_t at = 0; at <= length; at++) {
		struct sos_record records[8];
		ck_assert_uint_eq(parse_split(data, length, at, records), 2);
		ck_assert_uint_eq(records[0].of.sequence, 12);
		ck_assert_uint_eq(records[0].of.token, 99);
		ck_assert_int_eq(records[0].code, 130);
		ck_assert_uint_eq(records[0].last, 4711);
		ck_assert_str_eq(records[0].flags, "himBHs");
		ck_assert_uint_eq(records[1].of.sequence, 13);
		ck_assert_uint_eq(records[1].last, 0);
	}
}
END_TEST

START_TEST(junk_is_passed_over)
{
	static const struct {
		const char *data;
		size_t length;
	} junk[] = {
#define JUNK(s) { s, sizeof(s) - 1 }
		JUNK("noise"), JUNK("\0"), JUNK("\0\0"), JUNK("\0noise\0"), JUNK("\0S\0"), JUNK("\0S1\0"), JUNK("\0S1 0 h \0"), JUNK("\0S1. 0 h \0"), JUNK("\0S1.5 \0"),
		JUNK("\0S1.5 256 h \0"), JUNK("\0S-1.5 0 h \0"), JUNK("\0S1.5 0\0"), JUNK("\0S1.5 0 h x\0"),
		JUNK("\0S1.5 0 h 99999999999\0"), JUNK("\0S99999999999999999999.5 0 h \0"), JUNK("\0E1.5 0 h \0"),
		JUNK("\0S1.5 0 hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh \0"),
		JUNK("\0T1.5 0 h \0"), JUNK("\0T1.5\0"), JUNK("\0T1.5 256\0"), JUNK("\0A1.5 \0"), JUNK("\0P1.5 0\0"), JUNK("\0P1\0"),
	};
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		char data[256];
		memcpy(data, junk[i].data, junk[i].length);
		memcpy(data + junk[i].length, "\0S7.5 3 h 5\0", 12);
		for (size_t at = 0; at <= junk[i].length + 12; at++) {
			struct sos_record records[8];
			ck_assert_msg(parse_split(data, junk[i].length + 12, at, records) == 1, "junk %zu, split %zu", i, at);
			ck_assert_uint_eq(records[0].of.sequence, 7);
			ck_assert_int_eq(records[0].code, 3);
		}
	}
}
END_TEST

START_TEST(records_of_every_kind)
{
	static const char data[] = "ab\0T12.99 7\0\0A12.99 0\0list\0P12.99\0";
	static const enum sos_record_kind kinds[] = { SOS_RECORD_PLAIN, SOS_RECORD_AGAIN, SOS_RECORD_PROBE };
	static const int codes[] = { 7, 0, 0 };
	static const size_t junk[] = { 2, 0, 4 };
	struct sos_record records[8];
	ck_assert_uint_eq(parse_split(data, sizeof(data) - 1, sizeof(data) - 1, records), 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(records[i].kind, kinds[i]);
		ck_assert_int_eq(records[i].code, codes[i]);
		ck_assert_uint_eq(records[i].junk, junk[i]);
		ck_assert_uint_eq(records[i].of.token, 99);
	}
}
END_TEST

START_TEST(a_record_without_end_is_not_kept_for_ever)
{
	char data[600] = { 0, 'S' };
	struct sos_record record;
	bool found;
	memset(data + 2, '1', sizeof(data) - 2);
	ck_assert_uint_eq(sos_record_parse(data, sizeof(data), &record, &found), sizeof(data));
	ck_assert(!found);
}
END_TEST

/* Every line must fit the one-page command pipe together with what may still be in it. */
START_TEST(lines_are_short_and_whole)
{
	struct sos_record before = { .code = 255, .last = UINT32_MAX };
	strcpy(before.flags, "abefhkmnptuvxBCEHPTs");
	for (int d = SOS_DIALECT_BASH; d < SOS_DIALECT_NONE; d++) {
		char line[SOS_DRIVER_LINE];
		struct sos_driver driver = { .dialect = (enum sos_dialect)d };
		struct sos_run_number of = { UINT64_MAX / 20, UINT64_MAX / 20 };
		memset(driver.text, 't', SOS_DRIVER_PATH - 1);
		memset(driver.restore, 'r', SOS_DRIVER_PATH - 1);
		size_t lengths[] = {
			sos_driver_open(line, &driver, of),
			sos_driver_again(line, &driver, of),
			sos_driver_repair(line, &driver, of),
			sos_driver_run(line, &driver, of, &before, SOS_WAY_USUAL),
			sos_driver_run(line, &driver, of, &before, SOS_WAY_CAREFUL),
		};
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
			ck_assert_msg(lengths[i] > 0 && lengths[i] < SOS_DRIVER_LINE, "dialect %d, line %zu", d, i);
		ck_assert_int_eq(line[lengths[4] - 1], '\n');
	}
}
END_TEST

static struct sos_driver bash = { SOS_DIALECT_BASH, "/dir/text", "/dir/restore" };

START_TEST(options_are_put_back_and_status_is_restored)
{
	char line[SOS_DRIVER_LINE];
	struct sos_run_number of = { 5, 1234567 };
	struct sos_record plain = { .code = 0, .flags = "himBs" };
	struct sos_record failed = { .code = 9, .flags = "himBs" };
	struct sos_record traced = { .code = 9, .flags = "himxBs" };
	struct sos_record broken = { .code = 2, .flags = "himBs" };
	ck_assert_uint_eq(sos_driver_prefix(line, &bash, &plain), 0);
	line[sos_driver_run(line, &bash, of, &plain, SOS_WAY_USUAL)] = 0;
	ck_assert_ptr_nonnull(strstr(line, "/dir/text"));
	ck_assert_ptr_nonnull(strstr(line, "S5.1234567 "));
	ck_assert_ptr_null(strstr(line, "/dir/restore"));
	line[sos_driver_run(line, &bash, of, &failed, SOS_WAY_USUAL)] = 0;
	ck_assert_ptr_nonnull(strstr(line, "/dir/restore 9&&"));
	line[sos_driver_run(line, &bash, of, &traced, SOS_WAY_USUAL)] = 0;
	ck_assert_ptr_nonnull(strstr(line, "set +xv\n"));
	ck_assert_ptr_null(strstr(line, "/dir/restore"));
	line[sos_driver_prefix(line, &bash, &traced)] = 0;
	ck_assert_ptr_nonnull(strstr(line, "set -x;"));
	ck_assert_ptr_nonnull(strstr(line, "/dir/restore 9"));
	line[sos_driver_run(line, &bash, of, &broken, SOS_WAY_USUAL)] = 0;
	ck_assert_int_eq(strncmp(line, ";;\n", 3), 0);
}
END_TEST

/* A clean shell's stdout is the status pipe while plain texts are typed to it, and only then. */
START_TEST(plain_texts_are_typed)
{
	char line[SOS_DRIVER_LINE], text[SOS_PLAIN_MAX];
	struct sos_driver driver = bash;
	struct sos_run_number of = { UINT64_MAX / 20, UINT64_MAX / 20 };
	struct sos_record before = { .flags = "himBs" };
	memset(text, 't', sizeof(text));
	size_t length = sos_driver_type(line, &driver, of, text, sizeof(text), SOS_PLAIN_PROGRAMS);
	ck_assert(length > 0 && length < SOS_DRIVER_LINE);
	line[length] = 0;
	ck_assert_int_eq(strncmp(line, "\\exec >&243\n{ ttt", 17), 0);
	ck_assert_ptr_nonnull(strstr(line, "t;} >&241 2>&242 <&240 243>&240;printf"));
	line[sos_driver_type(line, &driver, of, "echo hi", 7, SOS_PLAIN_QUIET)] = 0;
	ck_assert_int_eq(strncmp(line, "{ echo hi;} >&241;printf '", 26), 0);
	line[sos_driver_type(line, &driver, of, "pwd", 3, SOS_PLAIN_BUILTINS)] = 0;
	ck_assert_int_eq(strncmp(line, "{ pwd;} >&241 2>&242;printf '", 29), 0);
	line[sos_driver_run(line, &driver, of, &before, SOS_WAY_PROBE)] = 0;
	ck_assert_int_eq(strncmp(line, "\\exec >&240\n", 12), 0);
	line[sos_driver_run(line, &driver, of, &before, SOS_WAY_USUAL)] = 0;
	ck_assert_ptr_null(strstr(line, "\\exec >&240\n"));
}
END_TEST

/* The mark that a run sets is the one that its report wants, and not the one of the run before. */
START_TEST(a_report_wants_the_mark_of_its_run)
{
	struct sos_record before = { .flags = "himBs" };
	for (uint64_t i = 1; i <= 4; i++) {
		char line[SOS_DRIVER_LINE], set[16], want[16];
		struct sos_run_number of = { i, 1 };
		snprintf(set, sizeof(set), "exec %d>&240", i % 2 ? 237 : 236);
		snprintf(want, sizeof(want), "<&%d ", i % 2 ? 237 : 236);
		line[sos_driver_run(line, &bash, of, &before, SOS_WAY_USUAL)] = 0;
		ck_assert_ptr_nonnull(strstr(line, set));
		line[sos_driver_again(line, &bash, of)] = 0;
		ck_assert_ptr_nonnull(strstr(line, want));
		line[sos_driver_repair(line, &bash, of)] = 0;
		ck_assert_ptr_nonnull(strstr(line, want));
	}
}
END_TEST

START_TEST(who_is_run_with_care)
{
	struct sos_record plain = { .flags = "himBs" }, errexit = { .flags = "ehimBs" };
	ck_assert(!sos_driver_careful("echo hi", 7, &plain));
	ck_assert(sos_driver_careful("echo hi", 7, &errexit));
	ck_assert(sos_driver_careful("set -e; false", 13, &plain));
	ck_assert(sos_driver_careful("exec >&-", 8, &plain));
	ck_assert(!sos_driver_careful("", 0, &plain));
}
END_TEST

START_TEST(shells_and_their_dialects)
{
	ck_assert_int_eq(sos_driver_first(SOS_SHELL_BASH), SOS_DIALECT_BASH);
	ck_assert_int_eq(sos_driver_first(SOS_SHELL_SH), SOS_DIALECT_SH);
	ck_assert_int_eq(sos_driver_first(SOS_SHELL_NONE), SOS_DIALECT_NONE);
	ck_assert_int_eq(sos_driver_next(SOS_DIALECT_SH), SOS_DIALECT_SH_LOW);
	ck_assert_int_eq(sos_driver_next(SOS_DIALECT_SH_LOW), SOS_DIALECT_NONE);
	ck_assert_int_eq(sos_driver_next(SOS_DIALECT_BASH), SOS_DIALECT_NONE);
}
END_TEST

UNIT_MAIN("driver", a_record_at_every_split, junk_is_passed_over, records_of_every_kind, plain_texts_are_typed, a_record_without_end_is_not_kept_for_ever,
	  lines_are_short_and_whole, options_are_put_back_and_status_is_restored, a_report_wants_the_mark_of_its_run, who_is_run_with_care,
	  shells_and_their_dialects)
