/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../sos-server/json_out.h"

#include <stdio.h>

#include "unit.h"
#include "wire/utf8.h"

/* What JSON is of some bytes, a byte at a time and in no hurry. */
static size_t plainly(const char *data, size_t length, char *to)
{
	char *clean = malloc(length * 3 + 1), *start = to;
	size_t n = sos_utf8_clean(data, length, clean);
	*to++ = '"';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)clean[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			*to++ = (char)c;
		else if (c && strchr("\n\t\r\"\\", c))
			to += sprintf(to, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c);
		else
			to += sprintf(to, "\\u%04x", c);
	}
	*to++ = '"';
	free(clean);
	return (size_t)(to - start);
}

static void check(const char *bytes, size_t length)
{
	char *data = unit_exact(bytes, length), *expected = malloc(length * 18 + 2);
	size_t n = plainly(data, length, expected);
	ck_assert_uint_eq(sos_json_bytes_length(data, length), n);
	struct sos_text text = SOS_TEXT_INIT;
	sos_json_write_bytes(&text, data, length);
	ck_assert(!text.failed && text.length == n && memcmp(sos_text_data(&text), expected, n) == 0);
	/* And in pieces of any size. */
	for (size_t most = 4; most < 40; most += 3) {
		text.length = 0;
		for (size_t at = 0, piece; at < length; at += piece) {
			piece = sos_json_piece(data + at, length - at, most);
			ck_assert(piece && piece <= most && piece <= length - at);
			sos_json_write_inside(&text, data + at, piece);
		}
		ck_assert(text.length == n - 2);
		ck_assert(n == 2 || memcmp(sos_text_data(&text), expected + 1, n - 2) == 0);
	}
	sos_text_free(&text);
	free(expected);
	free(data);
}

START_TEST(every_byte_at_every_place)
{
	char text[24];
	for (int byte = 0; byte < 256; byte++)
		for (size_t place = 0; place < sizeof(text); place++) {
			memset(text, 'x', sizeof(text));
			text[place] = (char)byte;
			check(text, sizeof(text));
		}
}
END_TEST

START_TEST(random_bytes)
{
	static const char *const parts[] = { "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc3", "\xf0\x9f\x98", "\x80\x80\x80\x80\x80",
					     "\xff", "\n", "\"", "\\", "plain text of some length", "\x01", "\xed\xa0\x80" };
	uint32_t state = 7;
	for (int round = 0; round < 3000; round++) {
		char text[256];
		size_t n = 0, most = unit_random(&state) % 200;
		while (n < most) {
			if (unit_random(&state) % 3) {
				const char *part = parts[unit_random(&state) % (sizeof(parts) / sizeof(parts[0]))];
				memcpy(text + n, part, strlen(part));
				n += strlen(part);
			} else {
				text[n++] = (char)unit_random(&state);
			}
		}
		check(text, n);
	}
}
END_TEST

START_TEST(numbers)
{
	struct sos_text text = SOS_TEXT_INIT;
	sos_text_add(&text, "{");
	sos_json_member_int(&text, "a", INT64_MIN);
	sos_json_member_uint(&text, "b", UINT64_MAX);
	sos_json_member_int(&text, "c", 0);
	sos_json_member_thousandths(&text, "d", -1500);
	sos_json_member_thousandths(&text, "e", 2000);
	sos_json_member_thousandths(&text, "f", 7);
	sos_text_append(&text, "}", 2);
	ck_assert_str_eq(sos_text_data(&text), "{\"a\":-9223372036854775808,\"b\":18446744073709551615,\"c\":0,"
					       "\"d\":-1.5,\"e\":2.0,\"f\":0.007}");
	sos_text_free(&text);
}
END_TEST

UNIT_MAIN("json_out", every_byte_at_every_place, random_bytes, numbers)
