/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "run.h"
#include "target.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The server takes bodies of 64 MiB; base64 makes four bytes of three. */
#define STDIN_LIMIT ((size_t)46 << 20)

enum {
	OPTION_TIMEOUT = SOS_PARSE_OWN,
	OPTION_JUDGE,
	OPTION_ARGV,
	OPTION_STDIN,
	OPTION_SEPARATE,
	OPTION_MAX_OUTPUT,
	OPTION_EXEC_ID,
	OPTION_BACKGROUND,
	OPTION_JSON
};

static const struct option options[] = {
	{ "standalone", no_argument, NULL, 's' },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "judge", no_argument, NULL, OPTION_JUDGE },
	{ "argv", no_argument, NULL, OPTION_ARGV },
	{ "stdin", required_argument, NULL, OPTION_STDIN },
	{ "separate", no_argument, NULL, OPTION_SEPARATE },
	{ "max-output", required_argument, NULL, OPTION_MAX_OUTPUT },
	{ "exec-id", required_argument, NULL, OPTION_EXEC_ID },
	{ "background", no_argument, NULL, OPTION_BACKGROUND },
	{ "json", no_argument, NULL, OPTION_JSON },
	SOS_PARSE_COMMON,
	{ 0 },
};

struct wish {
	cJSON *body;
	const char *stdin_path;
	const char *needs_standalone; /* the option that only standalone commands have */
	bool standalone;
	bool argv;
	bool background;
	bool json;
};

static int take_option(struct sos_parse *parse, struct wish *wish, int option)
{
	int64_t number;
	int stored = 0;
	switch (option) {
	case 's':
		wish->standalone = true;
		break;
	case OPTION_TIMEOUT:
		if (sos_parse_thousandths(optarg, &number) < 0 || !number)
			return sos_fail_usage(parse->cli, parse->command,
					      "--timeout '%s': wants seconds, like 30 or 0.5", optarg);
		stored = sos_json_set_number(wish->body, "timeout_ms", (double)number);
		break;
	case OPTION_MAX_OUTPUT:
		if (sos_parse_size(optarg, &number) < 0 || !number)
			return sos_fail_usage(parse->cli, parse->command,
					      "--max-output '%s': wants bytes, like 65536 or 64k", optarg);
		stored = sos_json_set_number(wish->body, "max_output_bytes", (double)number);
		break;
	case OPTION_EXEC_ID:
		stored = sos_json_set_string(wish->body, "exec_id", optarg);
		break;
	case OPTION_JUDGE:
		wish->needs_standalone = "--judge";
		stored = sos_json_set_true(wish->body, "judge");
		break;
	case OPTION_SEPARATE:
		wish->needs_standalone = "--separate";
		stored = sos_json_set_string(wish->body, "streams", "separate");
		break;
	case OPTION_STDIN:
		wish->needs_standalone = "--stdin";
		wish->stdin_path = optarg;
		break;
	case OPTION_ARGV:
		/* The program's own options are not ours: all behind its name is taken as it is. */
		wish->argv = true;
		parse->literal_after = 2;
		break;
	case OPTION_BACKGROUND:
		wish->background = true;
		break;
	case OPTION_JSON:
		wish->json = true;
		break;
	default:
		return -1;
	}
	return stored < 0 ? sos_fail(parse->cli, SOS_EXIT_FAILED, "out of memory") : 0;
}

static int take_stdin(struct sos_cli *cli, struct wish *wish)
{
	bool ours = !strcmp(wish->stdin_path, "-");
	int fd = ours ? STDIN_FILENO : open(wish->stdin_path, O_RDONLY | O_CLOEXEC);
	SOS_AUTO_BYTES struct sos_bytes bytes = { 0 };
	int failed = fd < 0 || sos_bytes_read_fd(&bytes, fd, STDIN_LIMIT) < 0;
	int reason = errno;
	if (fd >= 0 && !ours)
		close(fd);
	if (failed && reason == EFBIG)
		return sos_fail(cli, SOS_EXIT_FAILED, "--stdin %s: more than %zu MiB", wish->stdin_path,
				STDIN_LIMIT >> 20);
	if (failed)
		return sos_fail(cli, SOS_EXIT_FAILED, "--stdin %s: %s", wish->stdin_path, strerror(reason));
	if (sos_json_set_bytes(wish->body, "stdin", &bytes) < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	return 0;
}

static int take_words(struct sos_parse *parse, struct wish *wish)
{
	struct sos_cli *cli = parse->cli;
	int result = 0;
	if (parse->count < 2)
		return sos_fail_usage(cli, parse->command, "exec wants a sandbox's ID and a COMMAND");
	if (wish->argv) {
		wish->standalone = true;
		for (int i = 1; i < parse->count; i++)
			result |= sos_json_push(wish->body, "argv", parse->words[i]);
	} else if (parse->count > 2) {
		return sos_fail_usage(
			cli, parse->command,
			"%d words after the ID: quote the command as one word, or run words without a shell by --argv",
			parse->count - 1);
	} else {
		result = sos_json_set_string(wish->body, "command", parse->words[1]);
	}
	if (wish->needs_standalone && !wish->standalone)
		return sos_fail_usage(cli, parse->command, "%s works with --standalone or --argv only",
				      wish->needs_standalone);
	if (wish->standalone)
		result |= sos_json_set_true(wish->body, "standalone");
	if (result < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	return wish->stdin_path ? take_stdin(cli, wish) : 0;
}

static int run_json(struct sos_cli *cli, const char *id, const struct wish *wish)
{
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	int result = sos_run_post(cli, id, wish->body, &response);
	if (result)
		return result;
	sos_text_raw(response.body.data, response.body.length);
	SOS_AUTO_RUN struct sos_run run = { 0 };
	result = sos_run_take(cli, response.json, &run);
	return result ? result : sos_run_exit_code(cli, &run);
}

static int run_plain(struct sos_cli *cli, const char *id, const struct wish *wish)
{
	SOS_AUTO_RUN struct sos_run run = { 0 };
	int result = sos_run_send(cli, id, wish->body, &run);
	if (!result)
		result = sos_run_print(cli, &run, wish->background);
	return result ? result : sos_run_exit_code(cli, &run);
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .command = &sos_command_exec, .shorts = "-:hs", .longs = options, .argc = argc, .argv = argv
	};
	SOS_AUTO_JSON cJSON *body = sos_run_request(NULL);
	struct wish wish = { .body = body };
	int option;
	int result;
	if (!body)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END)
		if ((result = take_option(&parse, &wish, option)))
			return result < 0 ? sos_parse_stop(option) : result;
	result = take_words(&parse, &wish);
	SOS_AUTO_STRING char *id = NULL;
	if (!result)
		result = sos_target_find(cli, parse.words[0], &id);
	if (result)
		return result;
	return wish.json ? run_json(cli, id, &wish) : run_plain(cli, id, &wish);
}

const struct sos_command sos_command_exec = {
	.path = "sandbox exec",
	.name = "exec",
	.summary = "run a command in a sandbox",
	.help = "Usage: sos sandbox exec ID COMMAND [OPTIONS]\n"
		"       sos sandbox exec --argv ID PROGRAM [WORD]...\n"
		"\n"
		"Run COMMAND, one word of shell text, in the sandbox's session: directory, variables and\n"
		"functions hold from one command to the next. Prints what the command wrote, byte for\n"
		"byte, and ends with its exit code. Options may stand before ID too; -- ends them.\n"
		"\n"
		"Options:\n"
		"  -s, --standalone        in a process of its own, outside the session\n"
		"      --argv              PROGRAM and its words without a shell; standalone. All that\n"
		"                          follows PROGRAM is its own\n"
		"      --timeout SECONDS   end the command after this time (default: none)\n"
		"      --max-output BYTES  keep so much of each stream, the first bytes (default: 8m)\n"
		"      --stdin FILE        standalone: its standard input; - is ours\n"
		"      --separate          standalone: stdout and stderr apart. Else both go to stdout, in\n"
		"                          the order written, unless the sandbox has separate streams\n"
		"      --judge             standalone: kill every other process of the sandbox first\n"
		"      --background        write to stderr what background jobs wrote since the last command\n"
		"      --exec-id ID        name this run: the same name again gives the same result\n"
		"      --json              print the server's answer\n"
		"\n"
		"Exit code: the command's. 124: it ran into its time limit. 125: SoS failed, stderr says\n"
		"how. 2: wrong arguments. 130: ^C; the command then goes on in the sandbox.\n"
		"\n"
		"Examples:\n"
		"  sos sandbox exec $ID \"cd /tmp && pwd\"\n"
		"  sos sandbox exec -s $ID \"cat /etc/os-release\"\n"
		"  sos sandbox exec $ID \"make test\" --timeout 600\n"
		"  sos sandbox exec --argv $ID ls -la /tmp\n"
		"  sos sandbox exec -s $ID \"sh -s\" --stdin script.sh\n",
	.run = run,
};
