/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history.h"
#include "progress.h"
#include "reader.h"
#include "run.h"
#include "signals.h"
#include "spec.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A sandbox for as long as we live: whatever ends the loop, the sandbox is
 * removed. Signals are held from before the create until after the removal. */

/* The server gives up after 30 s itself. */
#define REMOVE_TIMEOUT_MS 40000

static const struct option options[] = { SOS_SPEC_OPTIONS, SOS_PARSE_COMMON, { 0 } };

struct session {
	struct sos_cli *cli;
	const char *id;
	struct sos_reader reader;
	int history;
	int last; /* exit code of the last command */
};

static bool is_blank(const struct sos_bytes *line)
{
	return strspn(line->data, " \t\r") == line->length;
}

/* One line. -1: go on; else what the session ends with. */
static int run_line(struct session *session, const struct sos_bytes *line)
{
	struct sos_cli *cli = session->cli;
	if (is_blank(line))
		return -1;
	if (memchr(line->data, 0, line->length))
		return sos_fail(cli, SOS_EXIT_FAILED, "the line has a NUL byte: no shell command can");
	sos_history_add(session->history, line->data, line->length);
	SOS_AUTO_JSON cJSON *body = sos_run_request(line->data);
	SOS_AUTO_RUN struct sos_run run = { 0 };
	if (!body)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	int result = sos_run_send(cli, session->id, body, &run);
	if (result == SOS_EXIT_SIGNAL + SIGINT && session->reader.terminal) {
		sos_fail(cli, result,
			 "not waiting any longer; the command goes on, the next one comes after it (^D: the end)");
		sos_fail_report(cli);
		session->last = result;
		return -1;
	}
	if (!result)
		result = sos_run_print(cli, &run, true);
	if (result)
		return result;
	session->last = sos_run_exit_code(cli, &run);
	if (run.exited || run.session_lost)
		return session->last;
	sos_fail_report(cli);
	return -1;
}

static int loop(struct session *session)
{
	SOS_AUTO_BYTES struct sos_bytes line = { 0 };
	for (;;) {
		int signal = 0;
		int result = -1;
		switch (sos_reader_next(&session->reader, &line, &signal)) {
		case SOS_READER_LINE:
			result = run_line(session, &line);
			break;
		case SOS_READER_END:
			if (session->reader.terminal)
				fputc('\n', stderr);
			return session->last;
		case SOS_READER_SIGNAL:
			if (signal != SIGINT || !session->reader.terminal)
				return SOS_EXIT_SIGNAL + signal;
			/* As a shell does: a new prompt. The terminal threw the half line away. */
			fputc('\n', stderr);
			break;
		case SOS_READER_FAILED:
			return sos_fail(session->cli, SOS_EXIT_FAILED, "read standard input: %s", strerror(errno));
		}
		if (result >= 0)
			return result;
	}
}

/* Its own failure does not hide the one that ended the session. */
static void remove_sandbox(struct sos_cli *cli, const char *id)
{
	char *failure = cli->failure;
	cli->failure = NULL;
	SOS_AUTO_STRING char *path = sos_client_path(id, "");
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = {
		.method = "DELETE", .path = path, .timeout_ms = REMOVE_TIMEOUT_MS, .deaf = true
	};
	/* 404: it ran out of its lifetime, or somebody else removed it. */
	if (path && sos_client_send(cli, &request, &response) && response.status != 404) {
		sos_fail_prefix(cli, 0, "the sandbox could not be removed and ends by its lifetime");
		sos_fail_report(cli);
	}
	free(cli->failure);
	cli->failure = failure;
}

static int run_session(struct sos_cli *cli, const cJSON *body)
{
	SOS_AUTO_STRING char *id = NULL;
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	int result = sos_spec_create(cli, body, &id, &response);
	if (result)
		return result;
	struct session session = { .cli = cli, .id = id, .history = -1 };
	result = sos_progress_start(cli, id);
	if (!result) {
		session.reader.terminal = isatty(STDIN_FILENO);
		if (session.reader.terminal) {
			session.history = sos_history_open();
			fprintf(stderr, "Sandbox %s of %s. 'exit' or ^D ends and removes it.\n", id,
				sos_json_string(body, "image"));
		}
		result = loop(&session);
		sos_reader_free(&session.reader);
		if (session.history >= 0)
			close(session.history);
	}
	remove_sandbox(cli, id);
	return result;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = { .cli = cli,
						  .command = &sos_command_session,
						  .shorts = "-:hs:i:",
						  .longs = options,
						  .argc = argc,
						  .argv = argv };
	SOS_AUTO_JSON cJSON *body = sos_spec_new();
	int option;
	if (!body)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option == 's') {
			cli->server = optarg;
			continue;
		}
		int result = sos_spec_option(&parse, body, option, optarg);
		if (result)
			return result < 0 ? sos_parse_stop(option) : result;
	}
	if (parse.count)
		return sos_fail_usage(cli, parse.command, "session takes no word '%s': an image is given with --image",
				      parse.words[0]);
	if (sos_signals_hold() < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "signalfd: %s", strerror(errno));
	int result = run_session(cli, body);
	/* Repeated ones (a closing terminal sends two) must not kill us between here and the exit code. */
	while (sos_signals_take())
		;
	sos_signals_release();
	return result;
}

const struct sos_command sos_command_session = {
	.path = "session",
	.name = "session",
	.summary = "a sandbox for as long as you type: prompt, commands, removal",
	.help = "Usage: sos session [OPTIONS]\n"
		"\n"
		"Create and start a sandbox, run each line in its session, remove the sandbox at the end:\n"
		"after 'exit N' (and end with N), at the end of the input (and end with the last exit\n"
		"code), on a signal. A line that ends in a backslash goes on in the next one. Commands\n"
		"do not read what is typed: their standard input is empty.\n"
		"On a terminal there is a prompt, lines are kept in ~/.local/state/sos/history, and ^C\n"
		"stops waiting for a command. Without one, input is read as a script, line by line.\n"
		"\n"
		"Options:\n"
		"  -s, --server URL          the server (default: SOS_SERVER, else http://localhost:3000)\n"
		"      --token-file FILE     what the server wants to be shown (default: SOS_TOKEN)\n"
		"  -i, --image IMAGE         the image (default: ubuntu:latest)\n"
		"      --setup COMMAND       run in the session at start; may be repeated, joined by &&\n" SOS_SPEC_HELP
		"\n"
		"Examples:\n"
		"  sos session -i ubuntu:latest\n"
		"  sos session -i python:3.9 --setup \"pip install requests\"\n"
		"  printf 'cd /tmp\\npwd\\nexit 3\\n' | sos session\n"
		"  rlwrap sos session            # arrow keys and history, where rlwrap is installed\n",
	.run = run,
};
