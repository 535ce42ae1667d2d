/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base64.h" /* no directory: see utf8.h */

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t sos_base64_encode(const void *bytes, size_t length, char *out)
{
	const uint8_t *p = bytes;
	char *o = out;
	for (; length >= 3; length -= 3, p += 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		*o++ = alphabet[v >> 6 & 63];
		*o++ = alphabet[v & 63];
	}
	if (length) {
		uint32_t v = (uint32_t)p[0] << 16 | (length == 2 ? (uint32_t)p[1] << 8 : 0);
		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		*o++ = length == 2 ? alphabet[v >> 6 & 63] : '=';
		*o++ = '=';
	}
	return (size_t)(o - out);
}

static int value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t sos_base64_decode(const char *text, size_t length, void *out)
{
	uint8_t *o = out;
	uint32_t bits = 0;
	unsigned int have = 0;
	if (length && length % 4 == 0 && text[length - 1] == '=')
		length -= text[length - 2] == '=' ? 2 : 1;
	if (length % 4 == 1)
		return -1;
	for (size_t i = 0; i < length; i++) {
		int v = value(text[i]);
		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			*o++ = (uint8_t)(bits >> have);
		}
	}
	if (bits & ((1u << have) - 1))
		return -1;
	return o - (uint8_t *)out;
}
