/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The result of a command, while it is built; immutable once given out. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/buffer.h"

struct sos_result {
	atomic_int references;
	struct sos_buffer output;     /* merged, or by arrival */
	struct sos_buffer out, err;   /* separate streams only */
	struct sos_buffer background;
	uint64_t dropped_output, dropped_out, dropped_err, dropped_background;
	uint64_t sequence;
	int64_t duration_ns;
	int exit_code, signal;
	bool separate, exited, timed_out, cancelled, session_lost, standalone;
	char exec_id[129];
};

/* One reference. NULL: out of memory. */
struct sos_result *sos_result_new(const char *exec_id, bool standalone, bool separate);
/* Bytes of memory its streams keep. */
size_t sos_result_kept_bytes(const struct sos_result *result);
/* A copy without its streams, everything in them counted as dropped. NULL: out of memory. */
struct sos_result *sos_result_without_output(const struct sos_result *result);
