/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "utf8.h" /* no directory: see the header */

#include <stdint.h>
#include <string.h>

/*
 * The first character or maximal subpart at `p`: its length, and whether it is
 * valid. The bounds of the second byte are what excludes overlong forms,
 * surrogates and values above U+10FFFF (table 3-7 of the Unicode Standard).
 */
static size_t next(const uint8_t *p, size_t length, bool *valid)
{
	uint8_t lead = p[0], low = 0x80, high = 0xbf;
	size_t need;
	*valid = true;
	if (lead < 0x80)
		return 1;
	*valid = false;
	if (lead < 0xc2 || lead > 0xf4)
		return 1;
	if (lead < 0xe0) {
		need = 1;
	} else if (lead < 0xf0) {
		need = 2;
		if (lead == 0xe0)
			low = 0xa0;
		else if (lead == 0xed)
			high = 0x9f;
	} else {
		need = 3;
		if (lead == 0xf0)
			low = 0x90;
		else if (lead == 0xf4)
			high = 0x8f;
	}
	for (size_t i = 1; i <= need; i++) {
		if (i == length || p[i] < low || p[i] > high)
			return i;
		low = 0x80;
		high = 0xbf;
	}
	*valid = true;
	return need + 1;
}

/* Most text is ASCII: skip it eight bytes at a time. */
static size_t ascii_length(const uint8_t *p, size_t length)
{
	size_t i = 0;
	for (uint64_t word; length - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		if (word & 0x8080808080808080u)
			break;
	}
	while (i < length && p[i] < 0x80)
		i++;
	return i;
}

bool sos_utf8_valid(const void *bytes, size_t length)
{
	const uint8_t *p = bytes, *end = p + length;
	while (p < end) {
		bool valid = true;
		size_t n = ascii_length(p, (size_t)(end - p));
		if (!n)
			n = next(p, (size_t)(end - p), &valid);
		if (!valid)
			return false;
		p += n;
	}
	return true;
}

/* `out` NULL only counts. */
static size_t clean(const uint8_t *p, size_t length, char *out)
{
	const uint8_t *end = p + length;
	size_t total = 0;
	while (p < end) {
		bool valid = true;
		size_t n = ascii_length(p, (size_t)(end - p));
		if (!n)
			n = next(p, (size_t)(end - p), &valid);
		const void *from = valid ? (const void *)p : "\xef\xbf\xbd";
		size_t give = valid ? n : 3;
		if (out)
			memcpy(out + total, from, give);
		total += give;
		p += n;
	}
	return total;
}

size_t sos_utf8_cleaned_length(const void *bytes, size_t length)
{
	return clean(bytes, length, NULL);
}

size_t sos_utf8_clean(const void *bytes, size_t length, char *out)
{
	return clean(bytes, length, out);
}

size_t sos_utf8_truncated_length(const void *bytes, size_t length, size_t limit)
{
	const uint8_t *p = bytes;
	if (length <= limit)
		return length;
	while (limit && (p[limit] & 0xc0) == 0x80)
		limit--;
	return limit;
}
