/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/error.h"

#include <errno.h>

#include "unit.h"

START_TEST(one_line)
{
	struct sos_error e = SOS_ERROR_INIT;
	ck_assert_int_eq(sos_error_set(&e, SOS_ERROR_ENGINE, "a\nb\t%s\x1b[31m\n", "c\x7f"), SOS_ERROR_ENGINE);
	ck_assert_str_eq(e.message, "a b c  [31m");
	ck_assert_int_eq(e.code, SOS_ERROR_ENGINE);
	ck_assert_int_eq(sos_error_errno(&e, SOS_ERROR_SYSTEM, ENOENT, "open %s", "x"), SOS_ERROR_SYSTEM);
	ck_assert_str_eq(e.message, "open x: No such file or directory");
	ck_assert_int_eq(sos_error_nomem(&e), SOS_ERROR_MEMORY);
	ck_assert_str_eq(e.message, "out of memory");
}
END_TEST

START_TEST(prefix_keeps_the_code)
{
	struct sos_error e = SOS_ERROR_INIT;
	sos_error_set(&e, SOS_ERROR_IMAGE, "not found");
	ck_assert_int_eq(sos_error_prefix(&e, SOS_ERROR_ENGINE, "pull %s", "x"), SOS_ERROR_IMAGE);
	ck_assert_str_eq(e.message, "pull x: not found");
	sos_error_set(&e, SOS_ERROR_IMAGE, "again: %s", e.message); /* an argument in the message itself */
	ck_assert_str_eq(e.message, "again: pull x: not found");
}
END_TEST

START_TEST(null_is_accepted)
{
	ck_assert_int_eq(sos_error_set(NULL, SOS_ERROR_LOST, "x"), SOS_ERROR_LOST);
	ck_assert_int_eq(sos_error_errno(NULL, SOS_ERROR_SYSTEM, EIO, "x"), SOS_ERROR_SYSTEM);
	ck_assert_int_eq(sos_error_nomem(NULL), SOS_ERROR_MEMORY);
	ck_assert_int_eq(sos_error_prefix(NULL, SOS_ERROR_LOST, "x"), SOS_ERROR_LOST);
}
END_TEST

START_TEST(long_messages_are_cut)
{
	struct sos_error e = SOS_ERROR_INIT;
	char text[3000];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	sos_error_set(&e, SOS_ERROR_LOST, "%s", text);
	ck_assert_uint_eq(strlen(e.message), sizeof(e.message) - 1);
	sos_error_prefix(&e, SOS_ERROR_LOST, "before");
	ck_assert_int_eq(strncmp(e.message, "before: xxx", 11), 0);
	ck_assert_uint_eq(strlen(e.message), sizeof(e.message) - 1);
}
END_TEST

UNIT_MAIN("error", one_line, prefix_keeps_the_code, null_is_accepted, long_messages_are_cut)
