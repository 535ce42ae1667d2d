/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A private sos-server that keeps some sandboxes warm, and what one of them takes over HTTP until its first command. */

#include "bench.h"

struct bench_warm;
/* NULL: left out or failed, which the rows then say. */
struct bench_warm *bench_warm_new(struct bench *bench);
void bench_warm_free(struct bench_warm *warm);
/* `count` times one from a full pool: the refill of the one before is over before the next is taken. */
void bench_warm_first(struct bench_warm *warm, size_t count);
/* From a full pool twice as many as it holds, one after the other. */
void bench_warm_burst(struct bench_warm *warm);
