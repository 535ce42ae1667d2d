/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/execs.h"
#include "core/trajectory.h"

#include <stdio.h>

#include "core/result.h"
#include "../unit.h"

#define MIB (1024u * 1024)

static struct sos_result *result_of(const char *id, size_t bytes, uint64_t sequence)
{
	struct sos_result *result = sos_result_new(id, false, false);
	ck_assert_ptr_nonnull(result);
	result->sequence = sequence;
	ck_assert_int_eq(sos_buffer_reserve(&result->output, bytes), 0);
	if (bytes) {
		memset(result->output.data, 'x', bytes);
		result->output.data[bytes] = 0;
		result->output.length = bytes;
	}
	return result;
}

static void finish(struct sos_execs *execs, struct sos_exec *exec, size_t bytes)
{
	struct sos_result *result = result_of(exec->id, bytes, 1);
	sos_execs_finish(execs, exec, result);
	sos_result_unref(result);
	sos_exec_unref(exec);
}

START_TEST(ids)
{
	ck_assert(sos_exec_id_valid("aZ09_.:-"));
	ck_assert(!sos_exec_id_valid(""));
	ck_assert(!sos_exec_id_valid("a b"));
	ck_assert(!sos_exec_id_valid("\xc3\xa4"));
	char id[SOS_EXEC_ID_MAX + 2];
	memset(id, 'a', sizeof(id));
	id[SOS_EXEC_ID_MAX + 1] = 0;
	ck_assert(!sos_exec_id_valid(id));
	id[SOS_EXEC_ID_MAX] = 0;
	ck_assert(sos_exec_id_valid(id));
}
END_TEST

START_TEST(generated_ids_meet_nobody)
{
	struct sos_execs execs;
	sos_execs_init(&execs, 0xdeadbeef);
	struct sos_exec *theirs = sos_execs_add(&execs, "deadbeef-2");
	struct sos_exec *one = sos_execs_add(&execs, NULL), *two = sos_execs_add(&execs, NULL);
	ck_assert_str_eq(one->id, "deadbeef-1");
	ck_assert_str_eq(two->id, "deadbeef-3");
	ck_assert_ptr_eq(sos_execs_find(&execs, "deadbeef-2"), theirs);
	ck_assert_ptr_eq(sos_execs_find(&execs, "deadbeef-3"), two);
	ck_assert_ptr_null(sos_execs_find(&execs, "deadbeef-4"));
	sos_exec_unref(theirs);
	sos_exec_unref(one);
	sos_exec_unref(two);
	sos_execs_clear(&execs);
}
END_TEST

START_TEST(keeps_the_last)
{
	struct sos_execs execs;
	char id[16];
	sos_execs_init(&execs, 1);
	struct sos_exec *runs = sos_execs_add(&execs, "runs");
	for (int i = 0; i < SOS_EXECS_KEPT + 10; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		finish(&execs, sos_execs_add(&execs, id), 10);
	}
	ck_assert_ptr_null(sos_execs_find(&execs, "e9"));
	ck_assert_ptr_nonnull(sos_execs_find(&execs, "e10"));
	ck_assert_ptr_eq(sos_execs_find(&execs, "runs"), runs);
	ck_assert_uint_eq(execs.ended, SOS_EXECS_KEPT);
	ck_assert_uint_eq(execs.bytes, SOS_EXECS_KEPT * 10);
	finish(&execs, runs, 1);
	/* It came first and ended last. */
	ck_assert_ptr_nonnull(sos_execs_find(&execs, "runs"));
	sos_execs_clear(&execs);
}
END_TEST

START_TEST(bounds_bytes)
{
	struct sos_execs execs;
	sos_execs_init(&execs, 1);
	finish(&execs, sos_execs_add(&execs, "a"), 10 * MIB);
	finish(&execs, sos_execs_add(&execs, "b"), 10 * MIB);
	struct sos_exec *a = sos_execs_find(&execs, "a"), *b = sos_execs_find(&execs, "b");
	size_t length;
	sos_result_output(a->result, &length);
	ck_assert_uint_eq(length, 0);
	ck_assert_uint_eq(sos_result_dropped_bytes(a->result), 10 * MIB);
	sos_result_output(b->result, &length);
	ck_assert_uint_eq(length, 10 * MIB);
	finish(&execs, sos_execs_add(&execs, "c"), 40 * MIB);
	sos_result_output(sos_execs_find(&execs, "b")->result, &length);
	ck_assert_uint_eq(length, 0);
	sos_result_output(sos_execs_find(&execs, "c")->result, &length);
	ck_assert_uint_eq(length, 40 * MIB);
	sos_execs_clear(&execs);
}
END_TEST

START_TEST(failures)
{
	struct sos_execs execs;
	struct sos_error error = {SOS_ERROR_LOST, "gone"};
	sos_execs_init(&execs, 1);
	struct sos_exec *exec = sos_execs_add(&execs, "kept");
	sos_execs_fail(&execs, exec, &error, true);
	sos_exec_unref(exec);
	ck_assert_int_eq(sos_execs_find(&execs, "kept")->error->code, SOS_ERROR_LOST);
	exec = sos_execs_add(&execs, "free");
	sos_execs_fail(&execs, exec, &error, false);
	ck_assert(exec->done);
	sos_exec_unref(exec);
	ck_assert_ptr_null(sos_execs_find(&execs, "free"));
	/* Forgotten while it ran. */
	exec = sos_execs_add(&execs, "runs");
	sos_execs_clear(&execs);
	finish(&execs, exec, 5);
	ck_assert_uint_eq(execs.bytes, 0);
}
END_TEST

/* ---- trajectory ---- */

static void record(struct sos_history *history, const char *command, size_t bytes, uint64_t sequence)
{
	struct sos_result *result = result_of("x", bytes, sequence);
	ck_assert_int_eq(sos_history_add(history, sos_record_new(command, strlen(command)), result, 5), 0);
	sos_result_unref(result);
}

START_TEST(in_order_of_the_session)
{
	static const uint64_t arrival[] = {1, 2, 4, 3, 6, 5, 7};
	struct sos_history history;
	sos_history_init(&history);
	char command[16];
	for (size_t i = 0; i < 7; i++) {
		snprintf(command, sizeof(command), "c%d", (int)arrival[i]);
		record(&history, command, 3, arrival[i]);
	}
	struct sos_trajectory *t = NULL;
	ck_assert_int_eq(sos_history_snapshot(&history, &t, NULL), 0);
	ck_assert_uint_eq(sos_trajectory_count(t), 7);
	/* It outlives the history. */
	sos_history_clear(&history);
	for (size_t i = 0; i < 7; i++) {
		const struct sos_trajectory_entry *entry = sos_trajectory_get(t, i);
		snprintf(command, sizeof(command), "c%zu", i + 1);
		ck_assert_str_eq(entry->command, command);
		ck_assert_uint_eq(entry->command_length, 2);
		ck_assert_uint_eq(entry->index, i);
		ck_assert_int_eq(entry->timestamp_ms, 5);
		ck_assert_str_eq(sos_result_output(entry->result, NULL), "xxx");
	}
	ck_assert_ptr_null(sos_trajectory_get(t, 7));
	sos_trajectory_free(t);
}
END_TEST

START_TEST(drops_output_of_the_oldest)
{
	struct sos_history history;
	sos_history_init(&history);
	struct sos_trajectory *before = NULL, *after = NULL;
	for (int i = 0; i < 4; i++)
		record(&history, "c", 8 * MIB, (uint64_t)i + 1);
	ck_assert_int_eq(sos_history_snapshot(&history, &before, NULL), 0);
	record(&history, "c", 9 * MIB, 5);
	ck_assert_int_eq(sos_history_snapshot(&history, &after, NULL), 0);
	ck_assert_uint_le(history.output_bytes, SOS_TRAJECTORY_BYTES);
	size_t length;
	sos_result_output(sos_trajectory_get(before, 0)->result, &length);
	ck_assert_uint_eq(length, 8 * MIB);
	for (size_t i = 0; i < 5; i++) {
		const struct sos_result *result = sos_trajectory_get(after, i)->result;
		sos_result_output(result, &length);
		ck_assert_uint_eq(length, i < 2 ? 0 : i < 4 ? 8 * MIB : 9 * MIB);
		ck_assert_uint_eq(sos_result_dropped_bytes(result), i < 2 ? 8 * MIB : 0);
	}
	sos_trajectory_free(before);
	sos_trajectory_free(after);
	sos_history_clear(&history);
}
END_TEST

START_TEST(bounds_commands)
{
	struct sos_history history;
	sos_history_init(&history);
	static char command[MIB];
	memset(command, 'c', sizeof(command) - 1);
	for (int i = 0; i < 100; i++)
		record(&history, command, 1, (uint64_t)i + 1);
	ck_assert_uint_le(history.command_bytes, SOS_TRAJECTORY_COMMAND_BYTES);
	ck_assert_uint_eq(history.dropped + history.count, 100);
	struct sos_trajectory *t = NULL;
	ck_assert_int_eq(sos_history_snapshot(&history, &t, NULL), 0);
	ck_assert_uint_eq(sos_trajectory_get(t, 0)->index, history.dropped);
	ck_assert_uint_eq(sos_trajectory_get(t, sos_trajectory_count(t) - 1)->index, 99);
	sos_trajectory_free(t);
	sos_history_clear(&history);
}
END_TEST

UNIT_MAIN("execs", ids, generated_ids_meet_nobody, keeps_the_last, bounds_bytes, failures, in_order_of_the_session,
	  drops_output_of_the_oldest, bounds_commands)
