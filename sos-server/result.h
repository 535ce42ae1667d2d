/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A command's result as JSON. */

#include <stdbool.h>
#include <stddef.h>

struct sos_request;
struct sos_result;

void sos_result_reply(struct sos_request *request, const struct sos_result *result, bool base64);

/* The length of `data` without the ASCII white space at its end. */
size_t sos_result_trimmed_length(const char *data, size_t length);
