/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Output on its way from a pipe into a result: the first bytes up to a cap are
 * kept, the rest is read and counted. */

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

struct sos_capture {
	struct sos_result *result;
	uint64_t cap; /* bytes of each stream */
};

enum sos_capture_stream { SOS_CAPTURE_OUT, SOS_CAPTURE_ERR };

/* Bytes that are at hand. 0 or -1: no memory. */
int sos_capture_bytes(struct sos_capture *capture, enum sos_capture_stream stream, const void *data, size_t length);
/* Bytes that are lost before they came to us. */
void sos_capture_lost(struct sos_capture *capture, enum sos_capture_stream stream, uint64_t count);
/* What is in the pipe now, as FIONREAD says, and no more: a job that writes for ever does not hold us. Bytes read,
 * 0 (also at its end), or -ENOMEM. */
int64_t sos_capture_pipe(struct sos_capture *capture, enum sos_capture_stream stream, int fd);
