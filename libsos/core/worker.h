/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A few threads for what nobody waits for: removals, stops by a timer. Made
 * when there is work and nobody free, ended with the pool. */

#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/list.h"

struct sos_workers;

/* Embedded in what the work is about; out of the workers' hands once `run` or `drop` was called. */
struct sos_job {
	void (*run)(struct sos_job *job);
	void (*drop)(struct sos_job *job); /* the workers end before it was due: let go of what it holds */
	int64_t due;
	struct sos_list node;
};

/* Makes the first thread, so that a later lack of threads only makes it slower. */
int sos_workers_new(unsigned max, struct sos_workers **workers, struct sos_error *error);
/* Run at `due` (sos_clock; 0: now). May be called from `run` itself. */
void sos_workers_submit(struct sos_workers *workers, struct sos_job *job, int64_t due);
/* Join the threads, then drop on this thread what is left. NULL accepted. */
void sos_workers_free(struct sos_workers *workers);
