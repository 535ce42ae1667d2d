/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sos-bench: run by run.sh, which knows where everything is.
 *
 *   sos-bench --image IMAGE --inside PATH --server PATH --json FILE
 *             --label NAME=VALUE [--commit TEXT] [--only GROUP,...] [--many N]
 *             [--seconds S] [--quick] [--strict] [-- SWEREX-WORKER...]
 */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"
#include "engine_raw.h"

static void stop(int signal)
{
	(void)signal;
	bench_stopped = true;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* of a worker that died */
}

static const char *engine_socket(void)
{
	const char *host = getenv("DOCKER_HOST");

	if (!host || !*host)
		return "/var/run/docker.sock";
	if (strncmp(host, "unix://", 7) == 0)
		return host + 7;
	fprintf(stderr, "bench: DOCKER_HOST=%s: only unix:// can be measured\n", host);
	exit(2);
}

static int ask_engine(struct bench *bench)
{
	struct bench_http http;
	cJSON *version, *info;

	bench_http_init(&http, bench->engine);
	version = bench_raw_get(&http, "/version");
	info = bench_raw_get(&http, "/info");
	bench_http_close(&http);
	if (!version)
		fprintf(stderr, "bench: no Engine answers at %s\n", bench->engine);
	bench->report.machine = bench_machine_facts(version, info);
	cJSON_AddStringToObject(bench->report.machine, "image", bench->image);
	cJSON_Delete(info);
	cJSON_Delete(version);
	return bench->report.machine && version ? 0 : -1;
}

/* With --only: whether this group was asked for. */
static bool wanted(const struct bench *bench, const char *group)
{
	size_t length = strlen(group);

	for (const char *at = bench->only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strncmp(at, group, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	return !bench->only;
}

/* What is measured in one sandbox, beside its floors and rivals. */
static void run_calls(struct bench *bench, const char *const *swerex)
{
	static struct bench_groups groups;
	struct bench_rivals *rivals = bench_rivals_new(bench, swerex);
	struct bench_library *library = bench_library_new(bench);
	struct bench_daemon *daemon = bench_daemon_new(bench);

	if (!rivals || !library || !daemon) {
		bench_say("part of the table will be missing");
		bench->report.incomplete = true;
	}
	if (rivals)
		bench_rivals_add(rivals, &groups);
	if (library)
		bench_library_add(library, &groups);
	if (daemon)
		bench_daemon_add(daemon, &groups);
	if (wanted(bench, "commands")) {
		bench_say("commands");
		bench_tasks_run(&groups.commands, bench->rounds);
	}
	if (wanted(bench, "output")) {
		bench_say("output");
		bench_tasks_run(&groups.outputs, bench->cycles);
	}
	if (wanted(bench, "rollouts")) {
		bench_say("rollouts");
		bench_tasks_run(&groups.rollouts, bench->cycles);
	}
	bench_rivals_free(rivals);
	bench_library_free(library);
	bench_daemon_free(daemon);
}

static void run(struct bench *bench, const char *const *swerex)
{
	static const struct {
		const char *group, *say;
		void (*function)(struct bench *bench);
	} parts[] = {
		{ "crowd", "16 sandboxes", bench_crowd },
		{ "open", "1, 10 and 50 sandboxes", bench_open },
		{ "starts", "starts", bench_starts },
		{ "cycles", "life cycles by 1, 4, 16 and 64 clients", bench_cycles },
	};

	if (wanted(bench, "commands") || wanted(bench, "output") || wanted(bench, "rollouts"))
		run_calls(bench, swerex);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !bench_stopped; i++)
		if (wanted(bench, parts[i].group)) {
			bench_say(parts[i].say);
			parts[i].function(bench);
		}
}

/* The bash on the host has the locale and the terminal that sessions have; see add_environment in rivals.c. */
static void set_environment(void)
{
	static const char *const others[] = { "LC_ALL",	  "LC_CTYPE", "LC_MESSAGES",   "LANGUAGE",
					      "BASH_ENV", "PS0",      "PROMPT_COMMAND" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		unsetenv(others[i]);
	setenv("LANG", "C.UTF-8", 1);
	setenv("TERM", "dumb", 1);
}

/* --many has a socket for each sandbox. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* The load is in the JSON too; but who waits ten minutes wants to know before. */
static void warn_if_busy(void)
{
	double load;

	if (getloadavg(&load, 1) == 1 && load > (double)sysconf(_SC_NPROCESSORS_ONLN) / 2)
		fprintf(stderr, "bench: the machine is busy (load %.1f): expect more noise, and long tails\n", load);
}

static int report(struct bench *bench, const char *json, bool strict)
{
	size_t missed;

	if (bench_stopped) {
		bench_say("interrupted: nothing is reported");
		return 130;
	}
	missed = bench_report_print(&bench->report, stdout);
	if (json && bench_report_write_json(&bench->report, json) < 0) {
		perror(json);
		return 2;
	}
	return bench->report.incomplete || bench_report_failures(&bench->report) > 0 || (strict && missed > 0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "image", required_argument, NULL, 'i' },  { "inside", required_argument, NULL, 'n' },
		{ "server", required_argument, NULL, 's' }, { "json", required_argument, NULL, 'j' },
		{ "label", required_argument, NULL, 'l' },  { "only", required_argument, NULL, 'o' },
		{ "commit", required_argument, NULL, 'c' }, { "many", required_argument, NULL, 'm' },
		{ "seconds", required_argument, NULL, 'S' }, { "quick", no_argument, NULL, 'q' },
		{ "strict", no_argument, NULL, 't' },	     { 0 },
	};
	static struct bench bench = { .docker = "docker", .rounds = 20, .cycles = 20, .seconds = 300 };
	const char *json = NULL, *commit = NULL;
	bool strict = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'i': bench.image = optarg; break;
		case 'n': bench.inside = optarg; break;
		case 's': bench.server = optarg; break;
		case 'j': json = optarg; break;
		case 'l': snprintf(bench.label, sizeof(bench.label), "%s", optarg); break;
		case 'o': bench.only = optarg; break;
		case 'c': commit = optarg; break;
		case 'm': bench.many = strtoul(optarg, NULL, 10); break;
		case 'S': bench.seconds = strtoul(optarg, NULL, 10); break;
		case 'q': bench.quick = true; bench.rounds = 2; bench.cycles = 3; break;
		case 't': strict = true; break;
		default: return 2;
		}
	if (!bench.image || !bench.inside || !bench.server || !strchr(bench.label, '=') || !bench.seconds) {
		fprintf(stderr, "bench: run it by bench/run.sh\n");
		return 2;
	}
	bench.engine = engine_socket();
	bench_report_init(&bench.report);
	bench.report.many = bench.many;
	bench.report.partial = bench.only != NULL;
	catch_signals();
	raise_descriptors();
	set_environment();
	if (ask_engine(&bench) < 0)
		return 2;
	if (commit)
		cJSON_AddStringToObject(bench.report.machine, "commit", commit);
	if (bench.many)
		cJSON_AddNumberToObject(bench.report.machine, "seconds", (double)bench.seconds);
	bench_machine_load(bench.report.machine, "before");
	warn_if_busy();
	if (bench.many)
		bench_many(&bench);
	else
		run(&bench, optind < argc ? (const char *const *)&argv[optind] : NULL);
	bench_machine_load(bench.report.machine, "after");
	option = report(&bench, json, strict);
	bench_report_clear(&bench.report);
	return option;
}
