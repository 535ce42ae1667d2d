/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Engine's API with nothing of ours in between. Each function uses one keep-alive connection. */

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "http.h"

/* 0 or -1. `configuration` is the body of a create request. */
int bench_raw_create(struct bench_http *http, const cJSON *configuration, char id[65]);
int bench_raw_start(struct bench_http *http, const char *id);
int bench_raw_remove(struct bench_http *http, const char *id);
/* create exec, start, inspect: what a caller must do to have output and exit code. True if both were right. */
bool bench_raw_exec(struct bench_http *http, const char *id, const char *command, const char *expected);
/* GET `path`; owned by the caller; NULL without a 200. */
cJSON *bench_raw_get(struct bench_http *http, const char *path);
/* A container of that name made anew: the body that creates its like, without name and labels, with `label`. */
cJSON *bench_raw_likeness(struct bench_http *http, const char *id, const char *label);
/* The containers that carry a label, removed. */
void bench_raw_sweep(struct bench_http *http, const char *label);
