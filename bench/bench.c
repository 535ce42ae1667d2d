/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sos-bench: run by run.sh, which knows where everything is.
 *
 *   sos-bench --image IMAGE --inside PATH --server PATH --json FILE
 *             --label NAME=VALUE [--quick] [--strict] [-- SWEREX-WORKER...]
 */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void run(struct bench *bench, const char *const *swerex)
{
	struct bench_tasks commands = { .count = 0 }, outputs = { .count = 0 };
	struct bench_rivals *rivals = bench_rivals_new(bench, swerex);
	struct bench_library *library = bench_library_new(bench);
	struct bench_server *server = bench_server_new(bench);

	if (!rivals || !library || !server)
		bench_say("part of the table will be missing");
	if (rivals)
		bench_rivals_add(rivals, &commands, &outputs);
	if (library)
		bench_library_add(library, &commands, &outputs);
	if (server)
		bench_server_add(server, &commands);
	bench_say("commands");
	bench_tasks_run(&commands, bench->rounds);
	bench_say("output");
	bench_tasks_run(&outputs, bench->quick ? 1 : 7);
	bench_rivals_free(rivals);
	bench_library_free(library);
	bench_server_free(server);
	/* A fresh one: what it weighs shall not be what the rounds before left in its trajectories. */
	server = bench_stopped ? NULL : bench_server_new(bench);
	if (server) {
		bench_say("16 sandboxes");
		bench_server_crowd(server);
	}
	bench_server_free(server);
	if (!bench_stopped)
		bench_lifecycles(bench);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "image", required_argument, NULL, 'i' },  { "inside", required_argument, NULL, 'n' },
		{ "server", required_argument, NULL, 's' }, { "json", required_argument, NULL, 'j' },
		{ "label", required_argument, NULL, 'l' },
		{ "quick", no_argument, NULL, 'q' },	    { "strict", no_argument, NULL, 't' }, { 0 },
	};
	static struct bench bench = { .docker = "docker", .rounds = 20, .cycles = 20 };
	const char *json = NULL;
	bool strict = false;
	size_t missed;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'i': bench.image = optarg; break;
		case 'n': bench.inside = optarg; break;
		case 's': bench.server = optarg; break;
		case 'j': json = optarg; break;
		case 'l': snprintf(bench.label, sizeof(bench.label), "%s", optarg); break;
		case 'q': bench.quick = true; bench.rounds = 2; bench.cycles = 3; break;
		case 't': strict = true; break;
		default: return 2;
		}
	if (!bench.image || !bench.inside || !bench.server || !strchr(bench.label, '=')) {
		fprintf(stderr, "bench: run it by bench/run.sh\n");
		return 2;
	}
	bench.engine = engine_socket();
	bench_report_init(&bench.report);
	catch_signals();
	if (ask_engine(&bench) < 0)
		return 2;
	bench_machine_load(bench.report.machine, "before");
	run(&bench, optind < argc ? (const char *const *)&argv[optind] : NULL);
	bench_machine_load(bench.report.machine, "after");
	if (bench_stopped) {
		bench_say("interrupted: nothing is reported");
		bench_report_clear(&bench.report);
		return 130;
	}
	missed = bench_report_print(&bench.report, stdout);
	if (json && bench_report_write_json(&bench.report, json) < 0) {
		perror(json);
		return 2;
	}
	option = bench_report_failures(&bench.report) > 0 || (strict && missed > 0);
	bench_report_clear(&bench.report);
	return option;
}
