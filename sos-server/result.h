/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A command's result as JSON. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sos_request;
struct sos_result;

void sos_result_reply(struct sos_request *request, const struct sos_result *result, bool base64);

/* The output of a session command as JSON shows it: without white space at its end and without half a character where
 * the cap cut; `*dropped` are the bytes that fell to the cap, those of that character with them. */
const char *sos_result_shown_output(const struct sos_result *result, size_t *length, uint64_t *dropped);
