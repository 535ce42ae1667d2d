/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine_raw.h"
#include "process.h"
#include "server.h"

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

	while (bench_now_ns() < deadline) {
		if (waitpid(server->pid, NULL, WNOHANG) != 0) {
			server->pid = -1; /* it ended, and its number may be another's soon */
			return -1;
		}
		if (bench_http_call(&server->http, "GET", "/readyz", NULL, &answer) == 0 && answer.status == 200)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -1;
}

void bench_server_show_log(struct bench_server *server)
{
	char line[512];

	rewind(server->log);
	while (fgets(line, sizeof(line), server->log))
		fprintf(stderr, "bench: sos-server: %s", line);
}

struct bench_server *bench_server_new(struct bench *bench, size_t sandboxes, const char *option, const char *value)
{
	struct bench_server *server = calloc(1, sizeof(*server));
	char count[16];
	/* Lifetimes beyond the longest run. */
	const char *argv[] = { bench->server, "--port",    NULL,   "--max-sandboxes", count, "--network",
			       "none",	      "--timeout", "7200", option,	      value, NULL };

	if (!server)
		return NULL;
	server->bench = bench;
	server->log = tmpfile();
	snprintf(server->port, sizeof(server->port), "%d", free_port());
	snprintf(count, sizeof(count), "%zu", sandboxes);
	bench_http_init(&server->http, server->port);
	argv[2] = server->port;
	server->pid = server->log ? bench_spawn(argv, -1, fileno(server->log), fileno(server->log)) : -1;
	if (server->pid < 0 || wait_ready(server) < 0) {
		bench_say("no server to measure");
		if (server->log)
			bench_server_show_log(server);
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

int bench_server_create(struct bench_server *server, struct bench_http *http, char path[96])
{
	struct bench_answer answer;
	char body[512];
	const cJSON *item;
	cJSON *json;

	path[0] = '\0';
	snprintf(body, sizeof(body), "{\"image\":\"%s\",\"setup_commands\":[]}", server->bench->image);
	if (bench_http_call(http, "POST", "/sandboxes", body, &answer) < 0 || answer.status != 200)
		return -1;
	json = cJSON_Parse(answer.body);
	item = cJSON_GetObjectItemCaseSensitive(json, "id");
	if (cJSON_IsString(item))
		snprintf(path, 96, "/sandboxes/%.64s", item->valuestring);
	cJSON_Delete(json);
	return path[0] ? 0 : -1;
}

int bench_server_start(struct bench_http *http, const char *path)
{
	struct bench_answer answer;
	char start[128];

	snprintf(start, sizeof(start), "%s/start", path);
	if (bench_http_call(http, "POST", start, NULL, &answer) < 0)
		return -1;
	if (answer.status == 200)
		return 0;
	fprintf(stderr, "bench: start: %d %.300s\n", answer.status, answer.body);
	return -1;
}

int bench_server_remove(struct bench_http *http, const char *path)
{
	struct bench_answer answer;

	return bench_http_call(http, "DELETE", path, NULL, &answer) == 0 && answer.status == 200 ? 0 : -1;
}

int bench_server_sandbox(struct bench_server *server, struct bench_http *http, char path[128])
{
	char sandbox[96];

	if (bench_server_create(server, http, sandbox) < 0 || bench_server_start(http, sandbox) < 0)
		return -1;
	snprintf(path, 128, "%s/exec", sandbox);
	return 0;
}

bool bench_server_is(const struct bench_answer *answer, const char *expected)
{
	cJSON *json = cJSON_Parse(answer->body);
	const cJSON *output = cJSON_GetObjectItemCaseSensitive(json, "output");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "exit_code");
	bool is = answer->status == 200 && cJSON_IsString(output) && strcmp(output->valuestring, expected) == 0 &&
		  cJSON_IsNumber(code) && code->valuedouble == 0;

	cJSON_Delete(json);
	return is;
}

void bench_server_measure(struct bench_http *http, const char *path, const char *body, const char *expected,
			  size_t count, struct bench_samples *samples)
{
	for (size_t i = 0; i < count; i++) {
		struct bench_answer answer = { .body = "" };
		int64_t start = bench_now_ns(), end;
		int r = bench_http_call(http, body ? "POST" : "GET", path, body, &answer);

		end = bench_now_ns();
		if (r == 0 && (expected ? bench_server_is(&answer, expected) : answer.status == 200))
			bench_samples_add_ns(samples, end - start);
		else if (samples->failures++ == 0)
			fprintf(stderr, "bench: %s: %d %.200s\n", path, answer.status, answer.body);
	}
}

void bench_server_weigh(struct bench_server *server, const char *name, const char *field)
{
	struct bench_row *row = bench_report_row(&server->bench->report, name);
	int64_t kb = bench_proc_kb(server->pid, "status", field);

	if (kb >= 0)
		bench_row_add(row, (double)kb);
	else
		row->samples.failures++;
}

int64_t bench_server_init_kb(struct bench_server *server, const char *exec)
{
	char path[192];
	struct bench_http engine;
	cJSON *json, *state;
	int64_t clean, dirty;
	pid_t pid = 0;

	snprintf(path, sizeof(path), "%.*s", (int)(strrchr(exec, '/') - exec), exec);
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
