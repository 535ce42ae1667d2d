/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a JSON value ends, and whether it is small and flat enough to be given
 * to a parser: nothing of the grammar beyond brackets and strings is judged.
 * Two users: a check before parsing, and the splitting of a stream of objects
 * that comes in pieces. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

#define SOS_JSON_DEPTH_LIMIT 64
#define SOS_JSON_VALUES_LIMIT 2000000

struct sos_json_scan {
	uint32_t depth, values;
	bool string, escape;
};

enum sos_json_scan_step {
	SOS_JSON_SCAN_MORE = 0, /* inside or before a value */
	SOS_JSON_SCAN_END = 1,  /* this byte closed the outermost bracket */
	SOS_JSON_SCAN_BAD = -1  /* too deep, too many, or a bracket too much */
};

enum sos_json_scan_step sos_json_scan_byte(struct sos_json_scan *scan, char byte);

/* The whole text is within the limits and its brackets and strings are closed. */
bool sos_json_scan_text(const char *text, size_t length);

/* Splits "{...}\r\n{...}" into objects. Zeroed is the start; sos_json_split_free at the end. */
struct sos_json_split {
	struct sos_json_scan scan;
	struct sos_buffer object; /* the one that is being collected, or the last one */
	size_t limit;             /* of one object in bytes; 0: 1 MiB */
	bool complete, bad;
};

/* Take bytes up to the end of the next object. Returns how many were taken; `complete` then says that `object` holds
 * one, until the next call. `bad` once and for ever: not objects, one over the limit, or out of memory. */
size_t sos_json_split_read(struct sos_json_split *split, const char *in, size_t length);
/* Between two objects: the stream may end here. */
bool sos_json_split_at_boundary(const struct sos_json_split *split);
void sos_json_split_free(struct sos_json_split *split);
