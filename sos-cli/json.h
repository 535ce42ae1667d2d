/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only includer of cJSON here, and what we miss in it. Readers take any
 * JSON and give a default where a field is missing or of another type: an older
 * server leaves fields out. */

#include "bytes.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *sos_json_string(const cJSON *object, const char *name); /* "": none */
double sos_json_number(const cJSON *object, const char *name, double missing);
bool sos_json_true(const cJSON *object, const char *name);
void sos_json_delete(cJSON **json);
#define SOS_AUTO_JSON __attribute__((cleanup(sos_json_delete)))

/* Append `text` to the array `name` of `object`, which is made if it is not there. 0 or -1 (no memory). */
int sos_json_push(cJSON *object, const char *name, const char *text);
/* Set `name`, in place of an earlier value. 0 or -1 (no memory). */
int sos_json_set_string(cJSON *object, const char *name, const char *text);
int sos_json_set_number(cJSON *object, const char *name, double number);
int sos_json_set_true(cJSON *object, const char *name);
/* Set `name` to bytes: a string where they are UTF-8 (NUL too), else {"base64": "..."}. 0 or -1 (no memory). */
int sos_json_set_bytes(cJSON *object, const char *name, const struct sos_bytes *bytes);
