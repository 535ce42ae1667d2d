/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One life cycle, ours and raw. The raw ones are made from the configuration of
 * a sandbox of ours that stays up meanwhile (same mounts, capabilities, limits
 * and network; the same program as PID 1), so that the Engine has the same to
 * do in both.
 */

#include <sos/sos.h>

#include "bench.h"

struct bench_kind {
	struct bench *bench;
	struct sos_pool *pool;
	struct sos_sandbox *model;
	cJSON *configuration; /* the model's, for the raw ones */
	uint32_t network;
};

/* `clients` at a time at most. 0 or -1; close it in both cases. */
int bench_kind_open(struct bench_kind *kind, struct bench *bench, uint32_t network, size_t clients);
void bench_kind_close(struct bench_kind *kind);

/* From nothing to nothing. `start` takes what create, start and the first command took, `cycle` all of it; or NULL. */
void bench_kind_cycle_sos(struct bench_kind *kind, struct bench_samples *start, struct bench_samples *cycle);
/* Likewise by the Engine's API; `start` takes create and start. */
void bench_kind_cycle_raw(struct bench_kind *kind, struct bench_http *http, struct bench_samples *start,
			  struct bench_samples *cycle);
/* create, start and `echo hi` by the Engine's exec API; the removal is not measured. */
void bench_kind_first_raw(struct bench_kind *kind, struct bench_http *http, struct bench_samples *samples);
