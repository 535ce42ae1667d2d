/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The commands of a sandbox by their exec_id: the ones that run and the last
 * that ended, so that the same id asked again gives the same result. Not
 * locked: the sandbox's lock guards it, and every entry. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/result.h"
#include "util/list.h"

#define SOS_EXECS_KEPT 64
#define SOS_EXECS_BYTES (16u * 1024 * 1024)
#define SOS_EXEC_ID_MAX 128

/* What the bounds of this folder count: bytes of the command's output. */
static inline size_t sos_exec_output_bytes(const struct sos_result *result)
{
	return result->output.length + result->out.length + result->err.length + result->background.length;
}

struct sos_exec {
	struct sos_list node;
	unsigned references;
	uint64_t hash;
	uint64_t command;          /* which command it is for: a hash; 0 with a generated id */
	bool done;
	struct sos_result *result; /* done and no error */
	struct sos_error *error;   /* done and failed */
	size_t bytes;              /* that `result` keeps */
	char id[SOS_EXEC_ID_MAX + 1];
};

struct sos_execs {
	struct sos_list entries; /* in order of arrival */
	unsigned ended;
	size_t bytes;
	uint64_t next;   /* number of the next generated id */
	char prefix[10]; /* of generated ids: random, so that they differ between sandboxes */
	bool foreign;    /* a caller gave an id, which may look like one of ours */
};

void sos_execs_init(struct sos_execs *execs, uint32_t random);
void sos_execs_clear(struct sos_execs *execs);
/* 1-128 of [a-zA-Z0-9_.:-] */
bool sos_exec_id_valid(const char *id);

/* Not a reference. NULL: unknown. */
struct sos_exec *sos_execs_find(struct sos_execs *execs, const char *id);
/* An entry that runs, with a generated id where `id` is NULL. The caller owns one reference, the registry another.
 * NULL: out of memory. */
struct sos_exec *sos_execs_add(struct sos_execs *execs, const char *id);
/* It ended; takes a reference of its own to `result`. Old ones are let go. */
void sos_execs_finish(struct sos_execs *execs, struct sos_exec *exec, struct sos_result *result);
/* It failed. `keep`: whoever asks again is told the same; else the id is free again. */
void sos_execs_fail(struct sos_execs *execs, struct sos_exec *exec, const struct sos_error *error, bool keep);
void sos_exec_unref(struct sos_exec *exec);
