/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests that leave civetweb's threads. */

#include <stdbool.h>

struct sos_request;

/* Have `serve` called with a copy of the request, whose body was read, on a thread of its own; what it replies ends the
 * connection. The caller's request is then empty, and `taken`. False: that cannot be had now, nothing changed. */
bool sos_take_over(struct sos_request *request, void (*serve)(struct sos_request *request));
