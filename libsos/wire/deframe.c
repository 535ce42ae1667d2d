/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/deframe.h"

enum { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR }; /* stdin's is an echo on stdout, in the Engine's documents */

/* Judge each byte when it comes: a stream that is not framed must not be waited for. */
static bool header_byte(struct sos_deframe *d, uint8_t byte)
{
	if (d->have == 0 ? byte > STREAM_STDERR : d->have < 4 && byte != 0)
		return false;
	d->header[d->have++] = byte;
	if (d->have < 8)
		return true;
	const uint8_t *h = d->header;
	d->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	if (!d->left)
		d->have = 0;
	return d->left <= SOS_DEFRAME_LIMIT;
}

enum sos_deframe_step sos_deframe_read(struct sos_deframe *deframe, const uint8_t *in, size_t length, size_t *used,
				       const uint8_t **out, size_t *out_length, bool *is_stderr)
{
	size_t i = 0;
	while (!deframe->bad && !deframe->left && i < length)
		deframe->bad = !header_byte(deframe, in[i++]);
	*used = i;
	if (deframe->bad)
		return SOS_DEFRAME_BAD;
	if (i == length)
		return SOS_DEFRAME_MORE;
	size_t n = length - i < deframe->left ? length - i : deframe->left;
	deframe->left -= (uint32_t)n;
	if (!deframe->left)
		deframe->have = 0;
	*is_stderr = deframe->header[0] == STREAM_STDERR;
	*out = in + i;
	*out_length = n;
	*used = i + n;
	return SOS_DEFRAME_DATA;
}

bool sos_deframe_at_boundary(const struct sos_deframe *deframe)
{
	return !deframe->bad && !deframe->have;
}
