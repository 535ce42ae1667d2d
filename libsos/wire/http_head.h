/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The head of an HTTP/1.x answer: status line and the few fields that say how
 * its body is framed. Strict: what two readers could read differently is
 * refused. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOS_HTTP_HEAD_LIMIT 16384

struct sos_http_head {
	int status;             /* 100 to 599 */
	int64_t content_length; /* -1: none given */
	bool chunked;
};

/* Returns the length of the head with its empty line once `data` holds all of it, 0 while it does not, -1 if it
 * is no head or longer than the limit. What follows belongs to the body. `head` is written on success only. */
ssize_t sos_http_head_parse(const char *data, size_t length, struct sos_http_head *head);
