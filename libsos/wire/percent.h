/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Percent-encoding of RFC 3986 for the paths and queries that we send. */

#include "util/buffer.h"

/* All but unreserved characters are encoded; those in `keep` (may be NULL) stay. 0 or -1 (out of memory). */
int sos_percent_append(struct sos_buffer *buffer, const char *text, const char *keep);
