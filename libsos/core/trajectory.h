/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The session commands of a sandbox with their results. Results are shared
 * with whoever asked for the command. Bounded: see SOS_TRAJECTORY_BYTES. Not
 * locked: the sandbox's lock guards it. */

#include <stddef.h>
#include <stdint.h>

#include <sos/sos.h>

/* Beyond it the output of the oldest is dropped. */
#define SOS_TRAJECTORY_BYTES (32u * 1024 * 1024)
/* Commands and bookkeeping have a bound of their own; beyond it the oldest entries go, and indices show it. */
#define SOS_TRAJECTORY_COMMAND_BYTES (32u * 1024 * 1024)

struct sos_record;

struct sos_history {
	struct sos_record **records; /* a ring of `capacity` */
	size_t first, count, capacity;
	size_t stripped; /* so many of the first have no output any more */
	size_t output_bytes, command_bytes;
	uint64_t dropped; /* entries that are gone: index of the first one kept */
};

void sos_history_init(struct sos_history *history);
void sos_history_clear(struct sos_history *history);
/* The command, copied before it runs so that recording it can't fail for lack of memory in the middle. NULL: memory. */
struct sos_record *sos_record_new(const char *command, size_t length);
void sos_record_unref(struct sos_record *record); /* NULL accepted */
/* Takes the record over, and a reference of its own to the result. -1: out of memory, nothing changed hands. */
int sos_history_add(struct sos_history *history, struct sos_record *record, struct sos_result *result,
		    int64_t timestamp_ms);
/* A snapshot. */
int sos_history_snapshot(const struct sos_history *history, struct sos_trajectory **trajectory,
			 struct sos_error *error);
