/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sha256.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* The constants are the first 32 bits of the fractions of roots of the first primes. */
static void constants(uint32_t k[64], uint32_t h[8])
{
	int found = 0;

	for (int n = 2; found < 64; n++) {
		int d = 2;

		while (d * d <= n && n % d)
			d++;
		if (d * d <= n)
			continue;
		if (found < 8)
			h[found] = (uint32_t)(uint64_t)(sqrtl(n) * 4294967296.0L);
		k[found++] = (uint32_t)(uint64_t)(cbrtl(n) * 4294967296.0L);
	}
}

static void block(uint32_t h[8], const uint32_t k[64], const unsigned char *p)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
		       (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(v, h, sizeof v);
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
			     ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
		uint32_t b = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
			     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof *v);
		v[4] += a;
		v[0] = a + b;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

void sha256_hex(const void *bytes, size_t length, char hex[65])
{
	const unsigned char *p = bytes;
	unsigned char tail[128] = { 0 };
	size_t whole = length / 64, rest = length % 64, padded = rest < 56 ? 64 : 128;
	uint32_t k[64], h[8];

	constants(k, h);
	for (size_t i = 0; i < whole; i++)
		block(h, k, p + 64 * i);
	if (rest)
		memcpy(tail, p + 64 * whole, rest);
	tail[rest] = 0x80;
	for (int i = 0; i < 8; i++)
		tail[padded - 1 - (size_t)i] = (unsigned char)((uint64_t)length * 8 >> 8 * i);
	for (size_t i = 0; i < padded; i += 64)
		block(h, k, tail + i);
	for (int i = 0; i < 8; i++)
		snprintf(hex + 8 * i, 9, "%08x", h[i]);
}
