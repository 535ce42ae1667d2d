/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/buffer.h"

#include "unit.h"

START_TEST(grows_and_stays_terminated)
{
	struct sos_buffer b = SOS_BUFFER_INIT;
	bool fine = true;
	for (int i = 0; i < 100000 && fine; i++)
		fine = sos_buffer_append_byte(&b, (char)('a' + i % 26)) == 0 && b.data[b.length] == 0 &&
		       b.length == (size_t)i + 1;
	ck_assert(fine);
	ck_assert_int_eq(b.data[27], 'b');
	ck_assert_int_eq(sos_buffer_printf(&b, "%s-%d", "x", 7), 0);
	ck_assert_str_eq(b.data + 100000, "x-7");
	ck_assert_int_eq(sos_buffer_append(&b, NULL, 0), 0);
	sos_buffer_free(&b);
	ck_assert_ptr_null(b.data);
	sos_buffer_free(&b);
	sos_buffer_free(NULL);
}
END_TEST

START_TEST(consumes)
{
	struct sos_buffer b = SOS_BUFFER_INIT;
	ck_assert_int_eq(sos_buffer_append_string(&b, "hello"), 0);
	sos_buffer_consume(&b, 0);
	sos_buffer_consume(&b, 2);
	ck_assert_str_eq(b.data, "llo");
	sos_buffer_consume(&b, 99);
	ck_assert_str_eq(b.data, "");
	ck_assert_uint_eq(b.length, 0);
	sos_buffer_free(&b);
	sos_buffer_consume(&b, 5);
	sos_buffer_clear(&b);
}
END_TEST

START_TEST(is_stolen)
{
	struct sos_buffer b = SOS_BUFFER_INIT;
	char *text = sos_buffer_steal(&b);
	ck_assert_str_eq(text, "");
	free(text);
	ck_assert_int_eq(sos_buffer_append_string(&b, "x"), 0);
	text = sos_buffer_steal(&b);
	ck_assert_str_eq(text, "x");
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.length + b.capacity, 0);
	free(text);
}
END_TEST

START_TEST(refuses_the_impossible)
{
	struct sos_buffer b = SOS_BUFFER_INIT;
	ck_assert_int_eq(sos_buffer_append_string(&b, "kept"), 0);
	ck_assert_int_eq(sos_buffer_reserve(&b, SIZE_MAX), -1);
	ck_assert_int_eq(sos_buffer_reserve(&b, SIZE_MAX - 4), -1);
	ck_assert_str_eq(b.data, "kept");
	sos_buffer_free(&b);
}
END_TEST

UNIT_MAIN("buffer", grows_and_stays_terminated, consumes, is_stolen, refuses_the_impossible)
