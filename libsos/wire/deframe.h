/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Engine's attach stream of a container without a terminal: frames of a
 * header (stream, three zero bytes, length as four bytes big-endian) and their
 * payload. Read from pieces of any size, zeroed is the start; payload is given
 * as slices of the input, nothing is copied or kept. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The Engine writes what it read from a pipe, 32 KiB at most. More than this is not its framing. */
#define SOS_DEFRAME_LIMIT (16u << 20)

struct sos_deframe {
	uint32_t left; /* of this frame's payload */
	uint8_t header[8];
	uint8_t have; /* bytes of header */
	bool bad;
};

enum sos_deframe_step {
	SOS_DEFRAME_MORE = 0, /* all input is used */
	SOS_DEFRAME_DATA = 1, /* a slice; call again with the rest */
	SOS_DEFRAME_BAD = -1  /* not the framing; stays so */
};

/* `*used` bytes of `in` were taken. With DATA, `*out` and `*out_length` (never 0) are a part of `in`. */
enum sos_deframe_step sos_deframe_read(struct sos_deframe *deframe, const uint8_t *in, size_t length, size_t *used,
				       const uint8_t **out, size_t *out_length, bool *is_stderr);

/* Between two frames: the stream may end here. */
bool sos_deframe_at_boundary(const struct sos_deframe *deframe);
