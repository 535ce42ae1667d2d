/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HTTP's chunked transfer coding, read from pieces of any size. Zeroed is the
 * start. Payload is given as slices of the input, nothing is copied. */

#include <stddef.h>
#include <stdint.h>

struct sos_chunked {
	uint64_t left;  /* of this chunk */
	uint32_t spent; /* bytes of a size line's extension, or of the trailer */
	uint8_t digits;
	uint8_t state;
};

enum sos_chunked_step {
	SOS_CHUNKED_MORE = 0, /* all input is used */
	SOS_CHUNKED_DATA = 1, /* a slice; call again with the rest */
	SOS_CHUNKED_END = 2,  /* the last chunk and its trailer are through; input after it is not ours */
	SOS_CHUNKED_BAD = -1
};

/* `*used` bytes of `in` were taken. With DATA, `*out` and `*out_length` (never 0) are a part of `in`. */
enum sos_chunked_step sos_chunked_read(struct sos_chunked *chunked, const uint8_t *in, size_t length, size_t *used,
				       const uint8_t **out, size_t *out_length);
