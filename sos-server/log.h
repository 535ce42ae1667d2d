/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line an event on stderr, as text or JSON. Never secrets: no environment, no tokens, no commands. */

#include <stdbool.h>

enum sos_log_level { SOS_LOG_ERROR = 0, SOS_LOG_WARN = 1, SOS_LOG_INFO = 2, SOS_LOG_DEBUG = 3 };

void sos_log_set_up(enum sos_log_level level, bool json);
/* `sandbox_id` NULL: the event is not of a sandbox. */
void sos_log(enum sos_log_level level, const char *sandbox_id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The line that says where the server listens: shown at every level, and bare in text, for who waits for it. */
void sos_log_ready(const char *format, ...) __attribute__((format(printf, 1, 2)));
