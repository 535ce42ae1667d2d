/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/utf8.h"

#include "unit.h"

#define R "\xef\xbf\xbd"

static void expect(const char *in, size_t length, const char *want)
{
	char *bytes = unit_exact(in, length);
	size_t n = sos_utf8_cleaned_length(bytes, length);
	char *out = malloc(n + 1);
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_le(n, length * 3);
	ck_assert_uint_eq(sos_utf8_clean(bytes, length, out), n);
	out[n] = 0;
	ck_assert_str_eq(out, want);
	ck_assert(sos_utf8_valid(out, n));
	ck_assert_int_eq(sos_utf8_valid(bytes, length), n == length && memcmp(out, bytes, n) == 0);
	free(out);
	free(bytes);
}

#define EXPECT(in, want) expect(in, sizeof(in) - 1, want)

START_TEST(maximal_subparts)
{
	EXPECT("", "");
	EXPECT("plain text that is longer than a word", "plain text that is longer than a word");
	EXPECT("\x80", R);
	EXPECT("a\xffz", "a" R "z");
	EXPECT("\xc0\x80", R R); /* overlong: the lead byte alone is wrong */
	EXPECT("\xc1\xbf", R R);
	EXPECT("\xe0\x80\x80", R R R); /* overlong */
	EXPECT("\xe0\xa0", R);         /* cut */
	EXPECT("\xed\xa0\x80", R R R); /* surrogate */
	EXPECT("\xed\x9f\xbf", "\xed\x9f\xbf");
	EXPECT("\xee\x80\x80", "\xee\x80\x80");
	EXPECT("\xf0\x8f\xbf\xbf", R R R R);
	EXPECT("\xf0\x90\x80\x80", "\xf0\x90\x80\x80");
	EXPECT("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");
	EXPECT("\xf4\x90\x80\x80", R R R R);
	EXPECT("\xf5\x80\x80\x80", R R R R);
	EXPECT("\xf0\x9f\x98", R); /* cut after three of four */
	EXPECT("\xf0\x9f\x98"
	       "A",
	       R "A");
	EXPECT("\xf0\x9f\x98\xf0\x9f\x98\x80", R "\xf0\x9f\x98\x80");
	EXPECT("\xe2\x82\xe2\x82\xac", R "\xe2\x82\xac");
	/* Table 3-11 of the Unicode Standard. */
	EXPECT("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A");
	EXPECT("12345678\x80"
	       "12345678",
	       "12345678" R "12345678");
}
END_TEST

static size_t encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; --i; c >>= 6)
		out[i] = (char)(0x80 | (c & 63));
	out[0] = (char)((0xf00 >> n & 0xff) | c);
	return n;
}

START_TEST(every_character_stays)
{
	char in[4], out[16];
	for (uint32_t c = 0; c < 0x110000; c++) {
		size_t n = encode(c, in);
		bool surrogate = c >= 0xd800 && c < 0xe000;
		if (sos_utf8_valid(in, n) == surrogate)
			ck_abort_msg("U+%04X", c);
		if (!surrogate && (sos_utf8_clean(in, n, out) != n || memcmp(in, out, n) != 0))
			ck_abort_msg("U+%04X is changed", c);
	}
}
END_TEST

START_TEST(noise_becomes_valid)
{
	uint32_t seed = 1;
	for (int round = 0; round < 20000; round++) {
		char in[24], out[sizeof(in) * 3];
		size_t length = unit_random(&seed) % sizeof(in);
		for (size_t i = 0; i < length; i++)
			in[i] = (char)(unit_random(&seed) % 3 ? 0x80 | unit_random(&seed) : unit_random(&seed));
		size_t n = sos_utf8_clean(in, length, out);
		ck_assert_uint_eq(n, sos_utf8_cleaned_length(in, length));
		ck_assert(sos_utf8_valid(out, n));
	}
}
END_TEST

START_TEST(truncation_splits_nothing)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
	static const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10 };
	for (size_t limit = 0; limit < sizeof(want) / sizeof(*want); limit++)
		ck_assert_uint_eq(sos_utf8_truncated_length(text, 10, limit), want[limit]);
	ck_assert_uint_eq(sos_utf8_truncated_length(text, 10, 99), 10);
}
END_TEST

UNIT_MAIN("utf8", maximal_subparts, every_character_stays, noise_becomes_valid, truncation_splits_nothing)
