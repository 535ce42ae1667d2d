/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A private sos-server on a free port: commands over HTTP by keep-alive clients in C, and what it weighs. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "engine_raw.h"
#include "process.h"

#define CROWD 16

struct bench_server {
	struct bench *bench;
	struct bench_http http;
	FILE *log;
	pid_t pid;
	char port[8];
	char path[128]; /* of the first sandbox's exec */
};

static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = -1;

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &length) == 0)
		port = ntohs(address.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

/* A port tells nobody when it opens, so ask until it answers or the process ended. */
static int wait_ready(struct bench_server *server)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	int64_t deadline = bench_now_ns() + 20000000000;
	struct bench_answer answer;

	while (bench_now_ns() < deadline && waitpid(server->pid, NULL, WNOHANG) == 0) {
		if (bench_http_call(&server->http, "GET", "/readyz", NULL, &answer) == 0 && answer.status == 200)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -1;
}

static void show_log(struct bench_server *server)
{
	char line[512];

	rewind(server->log);
	while (fgets(line, sizeof(line), server->log))
		fprintf(stderr, "bench: sos-server: %s", line);
}

/* A started sandbox; the path of its exec. */
static int add_sandbox(struct bench_server *server, struct bench_http *http, char path[128])
{
	struct bench_answer answer;
	char body[512], id[64];
	cJSON *json;
	const cJSON *item;

	snprintf(body, sizeof(body), "{\"image\":\"%s\",\"setup_commands\":[]}", server->bench->image);
	if (bench_http_call(http, "POST", "/sandboxes", body, &answer) < 0 || answer.status != 200)
		return -1;
	json = cJSON_Parse(answer.body);
	item = cJSON_GetObjectItemCaseSensitive(json, "id");
	snprintf(id, sizeof(id), "%s", cJSON_IsString(item) ? item->valuestring : "");
	cJSON_Delete(json);
	snprintf(path, 128, "/sandboxes/%s/start", id);
	if (bench_http_call(http, "POST", path, NULL, &answer) < 0)
		return -1;
	if (answer.status != 200) {
		fprintf(stderr, "bench: start: %d %.300s\n", answer.status, answer.body);
		return -1;
	}
	snprintf(path, 128, "/sandboxes/%s/exec", id);
	return 0;
}

struct bench_server *bench_server_new(struct bench *bench)
{
	struct bench_server *server = calloc(1, sizeof(*server));
	const char *argv[] = { bench->server, "--port", NULL, "--max-sandboxes", "20", NULL };

	if (!server)
		return NULL;
	server->bench = bench;
	server->log = tmpfile();
	snprintf(server->port, sizeof(server->port), "%d", free_port());
	bench_http_init(&server->http, server->port);
	argv[2] = server->port;
	server->pid = server->log ? bench_spawn(argv, -1, fileno(server->log), fileno(server->log)) : -1;
	if (server->pid < 0 || wait_ready(server) < 0) {
		bench_say("no server to measure");
		if (server->log)
			show_log(server);
		bench_server_free(server);
		return NULL;
	}
	return server;
}

void bench_server_free(struct bench_server *server)
{
	if (!server)
		return;
	if (server->pid > 0) {
		kill(server->pid, SIGTERM);
		while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (server->log)
		fclose(server->log);
	bench_http_close(&server->http);
	free(server);
}

static bool is_hi(const struct bench_answer *answer, const char *expected)
{
	cJSON *json = cJSON_Parse(answer->body);
	const cJSON *output = cJSON_GetObjectItemCaseSensitive(json, "output");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "exit_code");
	bool is = answer->status == 200 && cJSON_IsString(output) && strcmp(output->valuestring, expected) == 0 &&
		  cJSON_IsNumber(code) && code->valuedouble == 0;

	cJSON_Delete(json);
	return is;
}

static void measure(struct bench_http *http, const char *path, const char *body, const char *expected, size_t count,
		    struct bench_samples *samples)
{
	for (size_t i = 0; i < count; i++) {
		struct bench_answer answer = { .body = "" };
		int64_t start = bench_now_ns(), end;
		int r = bench_http_call(http, body ? "POST" : "GET", path, body, &answer);

		end = bench_now_ns();
		if (r == 0 && (expected ? is_hi(&answer, expected) : answer.status == 200))
			bench_samples_add_ns(samples, end - start);
		else if (samples->failures++ == 0)
			fprintf(stderr, "bench: %s: %d %.200s\n", path, answer.status, answer.body);
	}
}

static void run_healthz(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_server *server = state;

	measure(&server->http, "/healthz", NULL, NULL, count, samples);
}

static void run_session(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_server *server = state;

	measure(&server->http, server->path, "{\"command\":\"echo hi\"}", "hi", count, samples);
}

static void run_standalone(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_server *server = state;

	measure(&server->http, server->path, "{\"command\":\"echo hi\",\"standalone\":true}", "hi\n", count, samples);
}

void bench_server_add(struct bench_server *server, struct bench_tasks *commands)
{
	struct bench_report *report = &server->bench->report;

	bench_tasks_add(commands, bench_report_row(report, "healthz"), server, run_healthz, 100);
	if (add_sandbox(server, &server->http, server->path) < 0) {
		show_log(server);
		return;
	}
	bench_tasks_add(commands, bench_report_row(report, "session.http"), server, run_session, 100);
	bench_tasks_add(commands, bench_report_row(report, "standalone.http"), server, run_standalone, 50);
}

struct member {
	struct bench_server *server;
	struct bench_http http;
	struct bench_samples samples;
	char path[128];
	int64_t until;
	bool up;
};

static void *member_start(void *data)
{
	struct member *member = data;

	member->up = add_sandbox(member->server, &member->http, member->path) == 0;
	return NULL;
}

/* One command, so that its session has been used. */
static void *member_greet(void *data)
{
	struct member *member = data;

	measure(&member->http, member->path, "{\"command\":\"echo hi\"}", "hi", 1, &member->samples);
	return NULL;
}

static void *member_run(void *data)
{
	struct member *member = data;

	while (bench_now_ns() < member->until && !bench_stopped)
		measure(&member->http, member->path, "{\"command\":\"echo hi\"}", "hi", 20, &member->samples);
	return NULL;
}

static void all(struct member *members, void *(*function)(void *))
{
	pthread_t threads[CROWD];
	bool running[CROWD];

	for (size_t i = 0; i < CROWD; i++)
		running[i] = pthread_create(&threads[i], NULL, function, &members[i]) == 0;
	for (size_t i = 0; i < CROWD; i++)
		if (running[i])
			pthread_join(threads[i], NULL);
}

/* Private memory of PID 1 of a sandbox's container: what each sandbox adds. */
static int64_t init_private_kb(struct bench_server *server, const struct member *member)
{
	char path[192];
	struct bench_http engine;
	cJSON *json, *state;
	int64_t clean, dirty;
	pid_t pid = 0;

	snprintf(path, sizeof(path), "%.*s", (int)(strrchr(member->path, '/') - member->path), member->path);
	json = bench_raw_get(&server->http, path);
	state = cJSON_GetObjectItemCaseSensitive(json, "container_id");
	snprintf(path, sizeof(path), "/containers/%.64s/json", cJSON_IsString(state) ? state->valuestring : "none");
	cJSON_Delete(json);
	bench_http_init(&engine, server->bench->engine);
	json = bench_raw_get(&engine, path);
	state = cJSON_GetObjectItemCaseSensitive(json, "State");
	state = cJSON_GetObjectItemCaseSensitive(state, "Pid");
	if (cJSON_IsNumber(state))
		pid = (pid_t)state->valuedouble;
	cJSON_Delete(json);
	bench_http_close(&engine);
	clean = pid > 0 ? bench_proc_kb(pid, "smaps_rollup", "Private_Clean") : -1;
	dirty = pid > 0 ? bench_proc_kb(pid, "smaps_rollup", "Private_Dirty") : -1;
	return clean < 0 || dirty < 0 ? -1 : clean + dirty;
}

static void weigh(struct bench_server *server, const char *row, const char *field)
{
	struct bench_samples *samples = &bench_report_row(&server->bench->report, row)->samples;
	int64_t kb = bench_proc_kb(server->pid, "status", field);

	if (kb >= 0)
		bench_samples_add(samples, (double)kb);
	else
		samples->failures++;
}

static void weigh_inits(struct bench_server *server, struct member *members)
{
	struct bench_samples *samples = &bench_report_row(&server->bench->report, "memory.init")->samples;

	for (size_t i = 0; i < CROWD; i++) {
		int64_t kb = init_private_kb(server, &members[i]);

		if (kb >= 0)
			bench_samples_add(samples, (double)kb);
		else
			samples->failures++;
	}
}

/* Commands of all members for `seconds`: how many. */
static size_t run_all(struct bench_server *server, struct member *members, int64_t seconds, struct bench_row *row)
{
	int64_t start = bench_now_ns();
	size_t commands = 0;

	for (size_t i = 0; i < CROWD; i++)
		members[i].until = start + seconds * INT64_C(1000000000);
	all(members, member_run);
	for (size_t i = 0; i < CROWD; i++) {
		commands += members[i].samples.count;
		row->samples.failures += members[i].samples.failures;
		bench_samples_clear(&members[i].samples);
	}
	bench_samples_add(&row->samples, (double)commands * 1e9 / (double)(bench_now_ns() - start));
	return commands;
}

void bench_server_crowd(struct bench_server *server)
{
	struct bench_row *row = bench_report_row(&server->bench->report, "crowd.http");
	struct member *members = calloc(CROWD, sizeof(*members));
	size_t up = 0;

	if (!members)
		return;
	for (size_t i = 0; i < CROWD; i++) {
		members[i].server = server;
		bench_http_init(&members[i].http, server->port);
	}
	all(members, member_start);
	for (size_t i = 0; i < CROWD; i++)
		up += members[i].up;
	if (up == CROWD) {
		all(members, member_greet);
		weigh(server, "memory.daemon.anon", "RssAnon");
		weigh(server, "memory.daemon.rss", "VmRSS");
		weigh_inits(server, members);
		for (size_t turn = 0; turn < (server->bench->quick ? 1 : 3) && !bench_stopped; turn++)
			row->calls += run_all(server, members, server->bench->quick ? 1 : 3, row);
		weigh(server, "memory.daemon.after", "RssAnon");
	} else {
		row->samples.failures += CROWD - up;
		show_log(server);
	}
	for (size_t i = 0; i < CROWD; i++)
		bench_http_close(&members[i].http);
	free(members);
}
