/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/base64.h"

#include "unit.h"

static void both_ways(const char *plain, const char *coded)
{
	char out[64];
	size_t n = sos_base64_encode(plain, strlen(plain), out);
	ck_assert_uint_eq(n, strlen(coded));
	ck_assert_uint_eq(n, sos_base64_encoded_length(strlen(plain)));
	ck_assert_mem_eq(out, coded, n);
	ck_assert_int_eq(sos_base64_decode(coded, n, out), (ssize_t)strlen(plain));
	ck_assert_mem_eq(out, plain, strlen(plain));
}

START_TEST(vectors_of_rfc_4648)
{
	both_ways("", "");
	both_ways("f", "Zg==");
	both_ways("fo", "Zm8=");
	both_ways("foo", "Zm9v");
	both_ways("foob", "Zm9vYg==");
	both_ways("fooba", "Zm9vYmE=");
	both_ways("foobar", "Zm9vYmFy");
}
END_TEST

START_TEST(padding_may_be_missing)
{
	char out[8];
	ck_assert_int_eq(sos_base64_decode("Zg", 2, out), 1);
	ck_assert_int_eq(sos_base64_decode("Zm8", 3, out), 2);
	ck_assert_mem_eq(out, "fo", 2);
}
END_TEST

START_TEST(what_is_not_base64)
{
	static const char *const bad[] = {
		"=",     "==",   "===",  "====",   "Z",    "Z===", "Zg=",  "Zg==Zg==",
		"Zm9v=", "Zm=v", "Zm 9", "Zm9v\n", "Zm9-", "Zh==", "Zm9=", "\xff\xff\xff\xff"
	};
	char out[16];
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (sos_base64_decode(bad[i], strlen(bad[i]), out) != -1)
			ck_abort_msg("\"%s\" was taken", bad[i]);
}
END_TEST

START_TEST(every_length_and_byte)
{
	uint8_t in[300], out[300 / 3 * 4 + 4];
	char coded[404];
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	for (size_t length = 0; length <= sizeof(in); length++) {
		size_t n = sos_base64_encode(in, length, coded);
		char *exact = unit_exact(coded, n);
		ck_assert_int_eq(sos_base64_decode(exact, n, out), (ssize_t)length);
		ck_assert_mem_eq(in, out, length);
		free(exact);
	}
}
END_TEST

UNIT_MAIN("base64", vectors_of_rfc_4648, padding_may_be_missing, what_is_not_base64, every_length_and_byte)
