/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/trajectory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/execs.h"
#include "util/error.h"

/* What a record costs beside its command: itself and its result without bytes. */
#define RECORD_COST (sizeof(struct sos_record) + sizeof(struct sos_result) + sizeof(void *))

struct sos_record {
	atomic_int references;     /* one of the history, one of each snapshot */
	struct sos_result *result; /* of the history, changed under the sandbox's lock; snapshots have their own */
	size_t bytes;              /* that `result` keeps */
	int64_t timestamp_ms;
	size_t length;
	char command[];
};

struct sos_trajectory {
	size_t count;
	struct sos_record **records;
	struct sos_trajectory_entry entries[];
};

struct sos_record *sos_record_new(const char *command, size_t length)
{
	struct sos_record *record = malloc(sizeof(*record) + length + 1);
	if (!record)
		return NULL;
	atomic_init(&record->references, 1);
	record->result = NULL;
	record->bytes = 0;
	record->timestamp_ms = 0;
	record->length = length;
	memcpy(record->command, command, length);
	record->command[length] = 0;
	return record;
}

void sos_record_unref(struct sos_record *record)
{
	if (!record || atomic_fetch_sub(&record->references, 1) != 1)
		return;
	sos_result_unref(record->result);
	free(record);
}

void sos_history_init(struct sos_history *history)
{
	*history = (struct sos_history){0};
}

static struct sos_record **at(const struct sos_history *history, size_t index)
{
	return &history->records[(history->first + index) % history->capacity];
}

void sos_history_clear(struct sos_history *history)
{
	for (size_t i = 0; i < history->count; i++)
		sos_record_unref(*at(history, i));
	free(history->records);
	sos_history_init(history);
}

static int grow(struct sos_history *history)
{
	size_t capacity = history->capacity ? history->capacity * 2 : 64;
	struct sos_record **records = malloc(capacity * sizeof(*records));
	if (!records)
		return -1;
	for (size_t i = 0; i < history->count; i++)
		records[i] = *at(history, i);
	free(history->records);
	history->records = records;
	history->capacity = capacity;
	history->first = 0;
	return 0;
}

/* Snapshots see the result that they took a reference to, so it may be exchanged here. */
static bool strip(struct sos_history *history, struct sos_record *record)
{
	if (!record->bytes)
		return true;
	struct sos_result *bare = sos_result_without_output(record->result);
	if (!bare)
		return false;
	sos_result_unref(record->result);
	record->result = bare;
	history->output_bytes -= record->bytes;
	record->bytes = 0;
	return true;
}

static void drop_first(struct sos_history *history)
{
	struct sos_record *record = *at(history, 0);
	history->output_bytes -= record->bytes;
	history->command_bytes -= record->length + RECORD_COST;
	history->first = (history->first + 1) % history->capacity;
	history->count--;
	history->dropped++;
	if (history->stripped)
		history->stripped--;
	sos_record_unref(record);
}

/* The newest is kept whole, whatever its size. */
static void bound(struct sos_history *history)
{
	while (history->command_bytes > SOS_TRAJECTORY_COMMAND_BYTES && history->count > 1)
		drop_first(history);
	while (history->output_bytes > SOS_TRAJECTORY_BYTES && history->stripped + 1 < history->count) {
		if (!strip(history, *at(history, history->stripped)))
			return;
		history->stripped++;
	}
}

int sos_history_add(struct sos_history *history, struct sos_record *record, struct sos_result *result,
		    int64_t timestamp_ms)
{
	if (history->count == history->capacity && grow(history))
		return -1;
	record->result = sos_result_ref(result);
	record->bytes = sos_exec_output_bytes(result);
	record->timestamp_ms = timestamp_ms;
	/* Threads come back from the session in any order; the session's own numbers say what the order was. */
	size_t place = history->count++;
	while (place > history->stripped && (*at(history, place - 1))->result->sequence > result->sequence) {
		*at(history, place) = *at(history, place - 1);
		place--;
	}
	*at(history, place) = record;
	history->output_bytes += record->bytes;
	history->command_bytes += record->length + RECORD_COST;
	bound(history);
	return 0;
}

int sos_history_snapshot(const struct sos_history *history, struct sos_trajectory **trajectory, struct sos_error *error)
{
	size_t count = history->count;
	struct sos_trajectory *t = malloc(sizeof(*t) + count * sizeof(t->entries[0]));
	struct sos_record **records = malloc((count + 1) * sizeof(*records));
	if (!t || !records) {
		free(t);
		free(records);
		return sos_error_nomem(error);
	}
	t->count = count;
	t->records = records;
	for (size_t i = 0; i < count; i++) {
		struct sos_record *record = *at(history, i);
		atomic_fetch_add(&record->references, 1);
		records[i] = record;
		t->entries[i] = (struct sos_trajectory_entry){
			.size = sizeof(t->entries[i]),
			.command = record->command,
			.command_length = record->length,
			.result = sos_result_ref(record->result),
			.index = history->dropped + i,
			.timestamp_ms = record->timestamp_ms,
		};
	}
	*trajectory = t;
	return 0;
}

void sos_trajectory_free(struct sos_trajectory *trajectory)
{
	if (!trajectory)
		return;
	for (size_t i = 0; i < trajectory->count; i++) {
		sos_result_unref((struct sos_result *)trajectory->entries[i].result);
		sos_record_unref(trajectory->records[i]);
	}
	free(trajectory->records);
	free(trajectory);
}

size_t sos_trajectory_count(const struct sos_trajectory *trajectory)
{
	return trajectory->count;
}

const struct sos_trajectory_entry *sos_trajectory_get(const struct sos_trajectory *trajectory, size_t index)
{
	return index < trajectory->count ? &trajectory->entries[index] : NULL;
}
