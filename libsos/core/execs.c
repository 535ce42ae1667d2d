/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/execs.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *id)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * UINT64_C(1099511628211);
	return hash;
}

void sos_execs_init(struct sos_execs *execs, uint32_t random)
{
	static const char digits[] = "0123456789abcdef";
	*execs = (struct sos_execs){.next = 1};
	sos_list_init(&execs->entries);
	for (int i = 0; i < 8; i++)
		execs->prefix[i] = digits[random >> (28 - 4 * i) & 15];
	execs->prefix[8] = '-';
}

/* Written by hand: it is on the way of every command. */
static void generate(struct sos_execs *execs, char id[SOS_EXEC_ID_MAX + 1])
{
	char digits[20];
	int count = 0;
	for (uint64_t n = execs->next++; n; n /= 10)
		digits[count++] = (char)('0' + n % 10);
	memcpy(id, execs->prefix, 9);
	id += 9;
	while (count)
		*id++ = digits[--count];
	*id = 0;
}

bool sos_exec_id_valid(const char *id)
{
	size_t length = 0;
	for (; id[length]; length++) {
		char c = id[length];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
			    c == '.' || c == ':' || c == '-';
		if (!good || length >= SOS_EXEC_ID_MAX)
			return false;
	}
	return length > 0;
}

void sos_exec_unref(struct sos_exec *exec)
{
	if (!exec || --exec->references)
		return;
	sos_result_unref(exec->result);
	free(exec->error);
	free(exec);
}

/* Out of the registry; whoever waits for it keeps it alive. */
static void forget(struct sos_execs *execs, struct sos_exec *exec)
{
	if (exec->done) {
		execs->ended--;
		execs->bytes -= exec->bytes;
	}
	sos_list_remove(&exec->node);
	sos_exec_unref(exec);
}

void sos_execs_clear(struct sos_execs *execs)
{
	while (!sos_list_empty(&execs->entries))
		forget(execs, sos_list_entry(execs->entries.next, struct sos_exec, node));
}

struct sos_exec *sos_execs_find(struct sos_execs *execs, const char *id)
{
	uint64_t hash = hash_of(id);
	sos_list_each (node, &execs->entries) {
		struct sos_exec *exec = sos_list_entry(node, struct sos_exec, node);
		if (exec->hash == hash && !strcmp(exec->id, id))
			return exec;
	}
	return NULL;
}

struct sos_exec *sos_execs_add(struct sos_execs *execs, const char *id)
{
	struct sos_exec *exec = malloc(sizeof(*exec));
	if (!exec)
		return NULL;
	exec->references = 2;
	exec->done = false;
	exec->result = NULL;
	exec->error = NULL;
	exec->bytes = 0;
	if (id) {
		execs->foreign = true;
		memcpy(exec->id, id, strlen(id) + 1);
	} else {
		do
			generate(execs, exec->id);
		while (execs->foreign && sos_execs_find(execs, exec->id));
	}
	exec->hash = hash_of(exec->id);
	sos_list_append(&execs->entries, &exec->node);
	return exec;
}

/* The newest result is always kept whole; of older ones the output goes first, so that an id is known for as long
 * as sos.h says even where the bytes are not. */
static void strip(struct sos_execs *execs, const struct sos_exec *newest)
{
	sos_list_each (node, &execs->entries) {
		if (execs->bytes <= SOS_EXECS_BYTES)
			return;
		struct sos_exec *exec = sos_list_entry(node, struct sos_exec, node);
		if (exec == newest || !exec->bytes)
			continue;
		struct sos_result *bare = sos_result_without_output(exec->result);
		if (!bare)
			return;
		sos_result_unref(exec->result);
		exec->result = bare;
		execs->bytes -= exec->bytes;
		exec->bytes = 0;
	}
}

static void ended(struct sos_execs *execs, struct sos_exec *exec)
{
	exec->done = true;
	execs->ended++;
	execs->bytes += exec->bytes;
	struct sos_list *node = execs->entries.next;
	while (execs->ended > SOS_EXECS_KEPT) {
		struct sos_exec *old = sos_list_entry(node, struct sos_exec, node);
		node = node->next;
		if (old->done && old != exec)
			forget(execs, old);
	}
	if (execs->bytes > SOS_EXECS_BYTES)
		strip(execs, exec);
}

void sos_execs_finish(struct sos_execs *execs, struct sos_exec *exec, struct sos_result *result)
{
	exec->result = sos_result_ref(result);
	exec->bytes = sos_exec_output_bytes(result);
	/* Forgotten meanwhile: only whoever waits for it wants it. */
	if (sos_list_empty(&exec->node))
		exec->done = true;
	else
		ended(execs, exec);
}

void sos_execs_fail(struct sos_execs *execs, struct sos_exec *exec, const struct sos_error *error, bool keep)
{
	exec->error = malloc(sizeof(*exec->error));
	if (exec->error)
		*exec->error = *error;
	if (sos_list_empty(&exec->node)) {
		exec->done = true;
		return;
	}
	if (keep) {
		ended(execs, exec);
		return;
	}
	sos_list_remove(&exec->node);
	exec->done = true;
	sos_exec_unref(exec);
}
