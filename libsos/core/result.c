/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/result.h"

#include <stdlib.h>
#include <string.h>

struct sos_result *sos_result_new(const char *exec_id, bool standalone, bool separate)
{
	struct sos_result *result = calloc(1, sizeof(*result));
	if (!result)
		return NULL;
	atomic_init(&result->references, 1);
	result->standalone = standalone;
	result->separate = separate;
	size_t length = strnlen(exec_id, sizeof(result->exec_id) - 1);
	memcpy(result->exec_id, exec_id, length);
	return result;
}

size_t sos_result_kept_bytes(const struct sos_result *result)
{
	return sizeof(*result) + result->output.capacity + result->out.capacity + result->err.capacity +
	       result->background.capacity;
}

struct sos_result *sos_result_without_output(const struct sos_result *from)
{
	struct sos_result *result = malloc(sizeof(*result));
	if (!result)
		return NULL;
	*result = *from;
	atomic_init(&result->references, 1);
	result->dropped_output += from->output.length;
	result->dropped_out += from->out.length;
	result->dropped_err += from->err.length;
	result->dropped_background += from->background.length;
	result->output = result->out = result->err = result->background = (struct sos_buffer)SOS_BUFFER_INIT;
	return result;
}

struct sos_result *sos_result_ref(struct sos_result *result)
{
	if (result)
		atomic_fetch_add_explicit(&result->references, 1, memory_order_relaxed);
	return result;
}

void sos_result_unref(struct sos_result *result)
{
	if (!result || atomic_fetch_sub_explicit(&result->references, 1, memory_order_acq_rel) != 1)
		return;
	sos_buffer_free(&result->output);
	sos_buffer_free(&result->out);
	sos_buffer_free(&result->err);
	sos_buffer_free(&result->background);
	free(result);
}

static const char *bytes(const struct sos_buffer *buffer, size_t *length)
{
	if (length)
		*length = buffer->length;
	return buffer->data ? buffer->data : "";
}

const char *sos_result_output(const struct sos_result *result, size_t *length)
{
	return bytes(&result->output, length);
}

const char *sos_result_stdout(const struct sos_result *result, size_t *length)
{
	return bytes(result->separate ? &result->out : &result->output, length);
}

const char *sos_result_stderr(const struct sos_result *result, size_t *length)
{
	return bytes(&result->err, length);
}

const char *sos_result_background(const struct sos_result *result, size_t *length)
{
	return bytes(&result->background, length);
}

int sos_result_exit_code(const struct sos_result *result)
{
	return result->exit_code;
}

int sos_result_signal(const struct sos_result *result)
{
	return result->signal;
}

int sos_result_exited(const struct sos_result *result)
{
	return result->exited;
}

int sos_result_timed_out(const struct sos_result *result)
{
	return result->timed_out;
}

int sos_result_cancelled(const struct sos_result *result)
{
	return result->cancelled;
}

int sos_result_session_lost(const struct sos_result *result)
{
	return result->session_lost;
}

int sos_result_standalone(const struct sos_result *result)
{
	return result->standalone;
}

uint64_t sos_result_dropped_stdout(const struct sos_result *result)
{
	return result->separate ? result->dropped_out : result->dropped_output;
}

uint64_t sos_result_dropped_stderr(const struct sos_result *result)
{
	return result->dropped_err;
}

uint64_t sos_result_dropped_bytes(const struct sos_result *result)
{
	return result->separate ? result->dropped_out + result->dropped_err : result->dropped_output;
}

uint64_t sos_result_dropped_background(const struct sos_result *result)
{
	return result->dropped_background;
}

int64_t sos_result_duration_ns(const struct sos_result *result)
{
	return result->duration_ns;
}

uint64_t sos_result_sequence(const struct sos_result *result)
{
	return result->sequence;
}

const char *sos_result_exec_id(const struct sos_result *result)
{
	return result->exec_id;
}
