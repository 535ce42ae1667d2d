/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/chunked.h"

#define OVERHEAD_LIMIT 8192 /* of one extension, and of the trailer as a whole */
#define DIGITS_LIMIT 15

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LINE, TRAILER_LF, END_LF, END, BAD };

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t spend(struct sos_chunked *c, uint8_t state)
{
	return ++c->spent > OVERHEAD_LIMIT ? BAD : state;
}

static uint8_t size_byte(struct sos_chunked *c, uint8_t byte)
{
	int v = hex(byte);
	if (v >= 0) {
		c->left = c->left << 4 | (uint64_t)v;
		return ++c->digits > DIGITS_LIMIT ? BAD : SIZE;
	}
	if (!c->digits)
		return BAD;
	c->spent = 0;
	if (byte == '\r')
		return SIZE_LF;
	return byte == ';' || byte == ' ' || byte == '\t' ? EXTENSION : BAD;
}

/* One byte of framing; never called in DATA and END. */
static uint8_t framing_byte(struct sos_chunked *c, uint8_t byte)
{
	switch ((enum state)c->state) {
	case SIZE:
		return size_byte(c, byte);
	case EXTENSION:
		return byte == '\r' ? SIZE_LF : byte == '\n' ? BAD : spend(c, EXTENSION);
	case SIZE_LF:
		c->digits = 0;
		c->spent = 0;
		return byte != '\n' ? BAD : c->left ? DATA : TRAILER;
	case DATA_CR:
		return byte == '\r' ? DATA_LF : BAD;
	case DATA_LF:
		return byte == '\n' ? SIZE : BAD;
	case TRAILER:
		return byte == '\r' ? END_LF : byte == '\n' ? BAD : spend(c, TRAILER_LINE);
	case TRAILER_LINE:
		return byte == '\r' ? TRAILER_LF : byte == '\n' ? BAD : spend(c, TRAILER_LINE);
	case TRAILER_LF:
		return byte == '\n' ? TRAILER : BAD;
	case END_LF:
		return byte == '\n' ? END : BAD;
	case DATA:
	case END:
	case BAD:
		break;
	}
	return BAD;
}

enum sos_chunked_step sos_chunked_read(struct sos_chunked *chunked, const uint8_t *in, size_t length, size_t *used,
				       const uint8_t **out, size_t *out_length)
{
	size_t i = 0;
	while (i < length && chunked->state != DATA && chunked->state != END && chunked->state != BAD)
		chunked->state = framing_byte(chunked, in[i++]);
	*used = i;
	if (chunked->state == BAD)
		return SOS_CHUNKED_BAD;
	if (chunked->state == END)
		return SOS_CHUNKED_END;
	if (i == length)
		return SOS_CHUNKED_MORE;
	size_t n = length - i < chunked->left ? length - i : (size_t)chunked->left;
	chunked->left -= n;
	if (!chunked->left)
		chunked->state = DATA_CR;
	*out = in + i;
	*out_length = n;
	*used = i + n;
	return SOS_CHUNKED_DATA;
}
