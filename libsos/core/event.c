/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events of a caller's own call are told on its thread. Those of the background
 * go through one thread of their own, in order: a callback may well stop the
 * sandbox that it is told of and wait for the workers, so no worker may be the
 * one that runs it. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"

struct told {
	struct sos_job job;
	struct sos_pool *pool;
	enum sos_event_type type;
	int code;
	char sandbox_id[37]; /* "" : an event of the pool */
	char message[1200];
};

static void write_message(char message[1200], const char *format, va_list args)
{
	vsnprintf(message, 1200, format, args);
	for (char *c = message; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

static void tell(struct sos_pool *pool, enum sos_event_type type, const char *sandbox_id, int code, const char *message)
{
	struct sos_event event = {
		.size = sizeof(event),
		.sandbox_id = sandbox_id,
		.message = message,
		.type = type,
		.code = code,
	};
	pool->event(pool->event_data, &event);
}

void sos_event(struct sos_pool *pool, enum sos_event_type type, const char *sandbox_id, int code, const char *format,
	       ...)
{
	if (!pool->event)
		return;
	char message[1200];
	va_list args;
	va_start(args, format);
	write_message(message, format, args);
	va_end(args);
	tell(pool, type, sandbox_id, code, message);
}

static void tell_later(struct sos_job *job)
{
	struct told *told = sos_list_entry(job, struct told, job);
	tell(told->pool, told->type, *told->sandbox_id ? told->sandbox_id : NULL, told->code, told->message);
	free(told);
}

void sos_event_later(struct sos_pool *pool, enum sos_event_type type, const char *sandbox_id, int code,
		     const char *format, ...)
{
	/* Out of memory: an event is a hint, and what it tells of shows in the state too. */
	struct told *told = pool->event ? malloc(sizeof(*told)) : NULL;
	if (!told)
		return;
	/* At the pool's end what is left is told on the thread that frees it. */
	told->job.run = told->job.drop = tell_later;
	told->pool = pool;
	told->type = type;
	told->code = code;
	snprintf(told->sandbox_id, sizeof(told->sandbox_id), "%s", sandbox_id ? sandbox_id : "");
	va_list args;
	va_start(args, format);
	write_message(told->message, format, args);
	va_end(args);
	sos_workers_submit(pool->teller, &told->job, 0);
}
