/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading case files and comparing what came with what they say. Format: README.md. */

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>
#include <sos/sos.h>

struct text {
	char *bytes; /* NUL-terminated beyond length; freed by the owner of the struct */
	size_t length;
};

/* A string, an array of texts, {"hex": "..."} or {"repeat": text, "count": n}. Ends the program on anything else. */
struct text expect_text(const cJSON *node);

/* All cases of a file, an array; comment lines skipped. Ends the program where it cannot. */
cJSON *expect_read_file(const char *path);

const char *expect_string(const cJSON *node, const char *name); /* NULL: absent */
double expect_number(const cJSON *node, const char *name, double otherwise);
bool expect_true(const cJSON *node, const char *name);

/* NULL: as the step says. Else what differs, freed by the caller. */
char *expect_check(const cJSON *step, const struct sos_result *result);
