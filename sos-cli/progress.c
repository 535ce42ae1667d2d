/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"
#include "client.h"
#include "text.h"

#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>

struct line {
	struct timespec begun;
	bool shown;
};

static int terminal_width(void)
{
	struct winsize size;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static double seconds_since(const struct timespec *begun)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

static char *describe(const cJSON *sandbox)
{
	const char *state = sos_json_string(sandbox, "state");
	const cJSON *progress = cJSON_GetObjectItemCaseSensitive(sandbox, "progress");
	const char *detail = sos_json_string(progress, "text");
	if (!*detail)
		detail = sos_json_string(sandbox, "reason");
	double current = sos_json_number(progress, "current", 0);
	double total = sos_json_number(progress, "total", 0);
	char *text = NULL;
	int length;
	if (!strcmp(state, "queued"))
		length = asprintf(&text, "waiting for a free slot, place %.0f",
				  sos_json_number(sandbox, "queue_position", 0));
	else if (!strcmp(state, "pulling") && total > 0)
		length = asprintf(&text, "pulling %s: %s %.1f of %.1f MB", sos_json_string(sandbox, "image"), detail,
				  current / 1e6, total / 1e6);
	else if (!strcmp(state, "pulling"))
		length = asprintf(&text, "pulling %s%s%s", sos_json_string(sandbox, "image"), *detail ? ": " : "",
				  detail);
	else if (!strcmp(sos_json_string(progress, "phase"), "setup"))
		length = asprintf(&text, "running the setup commands");
	else
		length = asprintf(&text, "starting%s%s", *detail ? ": " : "", detail);
	return length < 0 ? NULL : text;
}

static void show(void *data, const cJSON *sandbox)
{
	struct line *line = data;
	SOS_AUTO_STRING char *text = describe(sandbox);
	SOS_AUTO_STRING char *whole = NULL;
	if (!text || asprintf(&whole, "%s (%.0f s)", text, seconds_since(&line->begun)) < 0)
		return;
	/* A wrapped line could not be overwritten. */
	if ((int)strlen(whole) >= terminal_width())
		whole[terminal_width() - 1] = 0;
	fputs("\r\033[K", stderr);
	sos_text_print(stderr, whole, true);
	fflush(stderr);
	line->shown = true;
}

int sos_progress_start(struct sos_cli *cli, const char *id)
{
	SOS_AUTO_STRING char *path = sos_client_path(id, "/start");
	SOS_AUTO_STRING char *look = sos_client_path(id, "");
	if (!path || !look)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	struct line line = { 0 };
	clock_gettime(CLOCK_MONOTONIC, &line.begun);
	struct sos_watch watch = { .path = look, .seen = show, .data = &line };
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "POST", .path = path, .watch = isatty(STDERR_FILENO) ? &watch : NULL };
	int result = sos_client_send(cli, &request, &response);
	if (line.shown) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	return result;
}
