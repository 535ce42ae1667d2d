/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "core/pool.h"

void sos_event(struct sos_pool *pool, enum sos_event_type type, const char *sandbox_id, int code, const char *format, ...)
{
	if (!pool->event)
		return;
	char message[1200];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	for (char *c = message; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	struct sos_event event = {
		.size = sizeof(event), .sandbox_id = sandbox_id, .message = message, .type = type, .code = code,
	};
	pool->event(pool->event_data, &event);
}
