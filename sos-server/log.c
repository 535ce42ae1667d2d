/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json_out.h"
#include "text.h"

/* Written once, before there are threads. */
static enum sos_log_level shown = SOS_LOG_INFO;
static bool as_json;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void sos_log_set_up(enum sos_log_level level, bool json)
{
	shown = level;
	as_json = json;
}

static void format_time(char out[32])
{
	struct timespec now;
	struct tm parts;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out + n, 32 - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

static void write_json(struct sos_text *line, const char *level, const char *sandbox_id, const char *message)
{
	char stamp[32];
	format_time(stamp);
	sos_text_add(line, "{");
	sos_json_member_string(line, "time", stamp);
	sos_json_member_string(line, "level", level);
	if (sandbox_id)
		sos_json_member_string(line, "sandbox", sandbox_id);
	sos_json_member_string(line, "message", message);
	sos_text_add(line, "}\n");
}

/* Messages may quote what came from outside: a control character must not forge a line or a colour. */
static void write_text(struct sos_text *line, const char *message)
{
	for (const unsigned char *p = (const unsigned char *)message; *p; p++) {
		if (*p >= 0x20 && *p != 0x7f)
			sos_text_append(line, p, 1);
		else
			sos_text_printf(line, "\\x%02x", *p);
	}
	sos_text_add(line, "\n");
}

/* One write, so that lines of several threads do not mix. */
static void put(struct sos_text *line)
{
	const char *data = sos_text_data(line);
	if (data && !line->failed && write(STDERR_FILENO, data, line->length) < 0)
		return; /* there is nobody else to tell */
}

void sos_log(enum sos_log_level level, const char *sandbox_id, const char *format, ...)
{
	if (level > shown)
		return;
	char message[1400], stamp[32];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	SOS_AUTO_TEXT struct sos_text line = SOS_TEXT_INIT;
	if (as_json) {
		write_json(&line, level_names[level], sandbox_id, message);
	} else {
		format_time(stamp);
		sos_text_printf(&line, "%s %s ", stamp, level_names[level]);
		if (sandbox_id)
			sos_text_printf(&line, "sandbox=%s ", sandbox_id);
		write_text(&line, message);
	}
	put(&line);
}

void sos_log_ready(const char *format, ...)
{
	char message[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	SOS_AUTO_TEXT struct sos_text line = SOS_TEXT_INIT;
	if (as_json)
		write_json(&line, "info", NULL, message);
	else
		write_text(&line, message);
	put(&line);
}
