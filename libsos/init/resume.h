/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A broken connection: the children go on. Their pipes are drained into
 * bounded buffers (what came first is kept, the rest counted; a session's
 * status pipe is never cut but left standing), and the next library gets
 * everything by RESUME. One reader at any time: the library stopped before it
 * closed, sos-init stops before it answers. */

#include <stdbool.h>
#include <stdint.h>

#include "init/stream.h"

void sos_resume_prepare(struct sos_stream *stream);
/* The connection broke. */
void sos_resume_lost(void);
/* RESUME: hand over, and answer `request` when all is sent. */
void sos_resume_start(uint32_t request, uint32_t flags); /* SOS_RESUME_* */
/* The queue has room. */
void sos_resume_more(void);
