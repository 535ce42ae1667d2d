/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor.h"
#include "process.h"
#include "texts.h"

#define INSIDE "/sos-bench-floor"

int bench_floor_listen(struct bench_floor *floor)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(floor->directory, "/tmp/sos-floor.XXXXXX");
	if (!mkdtemp(floor->directory)) {
		perror("bench: mkdtemp");
		floor->directory[0] = '\0';
		return -1;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", floor->directory);
	floor->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (floor->listener < 0 || bind(floor->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(floor->listener, 1) < 0) {
		perror("bench: floor's socket");
		return -1;
	}
	return 0;
}

void bench_floor_mount(const struct bench_floor *floor, cJSON *body)
{
	cJSON *mount = cJSON_CreateObject();

	cJSON_AddStringToObject(mount, "Type", "bind");
	cJSON_AddStringToObject(mount, "Source", floor->directory);
	cJSON_AddStringToObject(mount, "Target", INSIDE);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(cJSON_AddObjectToObject(body, "HostConfig"), "Mounts"), mount);
}

const char *bench_floor_file(struct bench_floor *floor, const char *name, const char *text, char path[96])
{
	FILE *f;

	snprintf(path, 96, "%s/%s", floor->directory, name);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f) != 0) {
		perror(path);
		return NULL;
	}
	snprintf(path, 96, INSIDE "/%s", name);
	return path;
}

static int pass(int fd, const int pipes[3])
{
	char byte = 'p', control[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(head), pipes, 3 * sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static bool read_line(int fd, const char *expected)
{
	char line[256];
	size_t have = 0;

	do {
		ssize_t n = read(fd, line + have, sizeof(line) - 1 - have);

		if (n <= 0)
			return false;
		have += (size_t)n;
	} while (line[have - 1] != '\n');
	line[have] = '\0';
	return strcmp(line, expected) == 0;
}

/* Nanoseconds from text to its line of output, and to its status where `status` is awaited; or -1. */
static int64_t type(struct bench_floor *floor, const char *text, const char *expected, bool status)
{
	size_t length = strlen(text);
	int64_t start = bench_now_ns();

	if (write(floor->to, text, length) != (ssize_t)length || (status && !read_line(floor->status, "0\n")) ||
	    !read_line(floor->from, expected))
		return -1;
	return bench_now_ns() - start;
}

int bench_floor_start(struct bench_floor *floor, const char *docker, const char *id)
{
	const char *argv[] = { docker, "exec", "-d", id, "/sos-bench-inside", "shell", INSIDE "/socket", NULL };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, third[2] = { -1, -1 }, ends[3], r = -1;
	struct pollfd ready = { .fd = floor->listener, .events = POLLIN };
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);
	char output[256];

	if (bench_run(argv, output, sizeof(output)) != 0 || poll(&ready, 1, 10000) != 1)
		return -1;
	floor->control = accept4(floor->listener, NULL, NULL, SOCK_CLOEXEC);
	if (floor->control >= 0 && pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
	    pipe2(third, O_CLOEXEC) == 0) {
		ends[0] = in[0];
		ends[1] = out[1];
		ends[2] = third[1];
		r = pass(floor->control, ends);
	}
	close(in[0]);
	close(out[1]);
	close(third[1]);
	floor->status = third[0];
	floor->to = in[1];
	floor->from = out[0];
	if (r < 0 || type(floor, "echo up\n", "up\n", false) < 0)
		return -1;
	if (getsockopt(floor->control, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0)
		floor->shell = bench_first_child(peer.pid);
	return 0;
}

int bench_floor_start_host(struct bench_floor *floor)
{
	const char *argv[] = { "bash", "--norc", "--noprofile", NULL };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };

	floor->host = true;
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0)
		floor->shell = bench_spawn(argv, in[0], out[1], -1);
	close(in[0]);
	close(out[1]);
	floor->to = in[1];
	floor->from = out[0];
	return floor->shell > 0 && type(floor, "echo up\n", "up\n", false) >= 0 ? 0 : -1;
}

static void run(struct bench_floor *floor, const char *text, const char *expected, bool status, size_t count,
		struct bench_samples *samples)
{
	for (size_t i = 0; i < count; i++) {
		int64_t ns = type(floor, text, expected, status);

		if (ns >= 0)
			bench_samples_add_ns(samples, ns);
		else
			samples->failures++;
	}
}

static void run_typed(void *state, size_t count, struct bench_samples *samples)
{
	run(state, "echo hi\n", "hi\n", false, count, samples);
}

static void run_status(void *state, size_t count, struct bench_samples *samples)
{
	run(state, "echo hi\necho $? >&3\n", "hi\n", true, count, samples);
}

static void run_program(void *state, size_t count, struct bench_samples *samples)
{
	run(state, "/bin/true; echo $?\n", "0\n", false, count, samples);
}

static void run_long(void *state, size_t count, struct bench_samples *samples)
{
	run(state, ". " INSIDE "/" BENCH_FLOOR_LONG "\n", BENCH_TEXT_LONG_OUTPUT, false, count, samples);
}

static void run_heredoc(void *state, size_t count, struct bench_samples *samples)
{
	run(state, ". " INSIDE "/" BENCH_FLOOR_HEREDOC "\n", BENCH_TEXT_HEREDOC_OUTPUT, false, count, samples);
}

static void run_rollout(void *state, size_t count, struct bench_samples *samples)
{
	run(state, BENCH_ROLLOUT_LOOP, "done\n", false, count, samples);
}

/* Step by step: as the library does it, without its safety. */
static void run_steps(void *state, size_t count, struct bench_samples *samples)
{
	for (size_t i = 0; i < count && !bench_stopped; i++) {
		struct bench_samples steps = { 0 };
		int64_t start = bench_now_ns();

		run(state, BENCH_ROLLOUT_STEP "; echo $?\n", "0\n", false, BENCH_ROLLOUT_STEPS, &steps);
		if (steps.failures == 0)
			bench_samples_add_ns(samples, bench_now_ns() - start);
		samples->failures += steps.failures;
		bench_samples_clear(&steps);
	}
}

static void run_pinned(struct bench_floor *floor, int core, size_t count, struct bench_samples *samples)
{
	if (bench_pin(0, 0) && bench_pin(floor->shell, core))
		run_typed(floor, count, samples);
	else
		samples->failures += count;
	bench_pin(0, -1);
	bench_pin(floor->shell, -1);
}

static void run_one(void *state, size_t count, struct bench_samples *samples)
{
	run_pinned(state, 0, count, samples);
}

static void run_two(void *state, size_t count, struct bench_samples *samples)
{
	run_pinned(state, 1, count, samples);
}

void bench_floor_add(struct bench_floor *floor, struct bench_report *report, struct bench_groups *groups)
{
	struct bench_tasks *commands = &groups->commands;

	if (floor->host) {
		bench_tasks_add(commands, bench_report_row(report, "floor.program.host"), floor, run_program, 50);
		bench_tasks_add(&groups->rollouts, bench_report_row(report, "rollout.host"), floor, run_rollout, 1);
		return;
	}
	bench_tasks_add(commands, bench_report_row(report, "floor.typed"), floor, run_typed, 100);
	bench_tasks_add(commands, bench_report_row(report, "floor.status"), floor, run_status, 100);
	bench_tasks_add(commands, bench_report_row(report, "floor.program"), floor, run_program, 50);
	bench_tasks_add(commands, bench_report_row(report, "floor.source.long"), floor, run_long, 50);
	bench_tasks_add(commands, bench_report_row(report, "floor.source.heredoc"), floor, run_heredoc, 20);
	bench_tasks_add(&groups->rollouts, bench_report_row(report, "rollout.inside"), floor, run_rollout, 1);
	bench_tasks_add_seldom(&groups->rollouts, bench_report_row(report, "rollout.typed"), floor, run_steps);
	if (floor->shell > 0)
		bench_tasks_add(commands, bench_report_row(report, "floor.typed.one"), floor, run_one, 100);
	if (floor->shell > 0 && sysconf(_SC_NPROCESSORS_ONLN) > 1)
		bench_tasks_add(commands, bench_report_row(report, "floor.typed.two"), floor, run_two, 100);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void bench_floor_stop(struct bench_floor *floor)
{
	static const char *const names[] = { "socket", BENCH_FLOOR_LONG, BENCH_FLOOR_HEREDOC };
	char path[64];

	close_one(&floor->to);
	close_one(&floor->from);
	close_one(&floor->status);
	close_one(&floor->control);
	close_one(&floor->listener);
	if (floor->host && floor->shell > 0)
		waitpid(floor->shell, NULL, 0); /* its input has ended */
	floor->shell = 0;
	if (!floor->directory[0])
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", floor->directory, names[i]);
		unlink(path);
	}
	rmdir(floor->directory);
	floor->directory[0] = '\0';
}
