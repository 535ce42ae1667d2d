/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

extern char **environ;

pid_t bench_spawn(const char *const *argv, int in, int out, int err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid = -1;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (err >= 0)
		posix_spawn_file_actions_adddup2(&actions, err, 2);
	r = posix_spawnp(&pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0) {
		fprintf(stderr, "bench: %s: %s\n", argv[0], strerror(r));
		return -1;
	}
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static int run(const char *const *argv, char *output, size_t room, uint64_t *bytes)
{
	static const size_t chunk = 1 << 20;
	char *scrap = NULL;
	size_t have = 0;
	uint64_t total = 0;
	int ends[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = bench_spawn(argv, -1, ends[1], -1);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -1;
	}
	scrap = malloc(chunk);
	while (scrap) {
		n = read(ends[0], scrap, chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		total += (uint64_t)n;
		if (output && have + 1 < room) {
			size_t take = (size_t)n < room - 1 - have ? (size_t)n : room - 1 - have;

			memcpy(output + have, scrap, take);
			have += take;
		}
	}
	free(scrap);
	close(ends[0]);
	if (output && room)
		output[have] = '\0';
	if (bytes)
		*bytes = total;
	return wait_for(pid);
}

int bench_run(const char *const *argv, char *output, size_t room)
{
	return run(argv, output, room, NULL);
}

int bench_run_count(const char *const *argv, uint64_t *bytes)
{
	return run(argv, NULL, 0, bytes);
}

int bench_worker_start(struct bench_worker *worker, const char *const *argv)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 };
	char line[64];

	*worker = (struct bench_worker){ .pid = -1 };
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return -1;
	worker->pid = bench_spawn(argv, to[0], from[1], -1);
	close(to[0]);
	close(from[1]);
	worker->in = fdopen(to[1], "w");
	worker->out = fdopen(from[0], "r");
	if (worker->pid < 0 || !fgets(line, sizeof(line), worker->out) || strcmp(line, "ready\n") != 0) {
		fprintf(stderr, "bench: %s did not get ready\n", argv[0]);
		bench_worker_stop(worker);
		return -1;
	}
	return 0;
}

void bench_worker_run(struct bench_worker *worker, size_t count, struct bench_samples *samples)
{
	char line[64];

	fprintf(worker->in, "%zu\n", count);
	fflush(worker->in);
	for (size_t i = 0; i < count; i++) {
		long long ns = -1;

		if (!fgets(line, sizeof(line), worker->out)) {
			samples->failures += count - i;
			return;
		}
		ns = atoll(line);
		if (ns < 0)
			samples->failures++;
		else
			bench_samples_add_ns(samples, ns);
	}
}

void bench_worker_stop(struct bench_worker *worker)
{
	if (worker->in)
		fclose(worker->in);
	if (worker->out)
		fclose(worker->out);
	if (worker->pid > 0) {
		kill(worker->pid, SIGTERM);
		wait_for(worker->pid);
	}
	*worker = (struct bench_worker){ .pid = -1 };
}

bool bench_pin(pid_t pid, int core)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (core < 0 || i == core)
			CPU_SET(i, &cores);
	return sched_setaffinity(pid, sizeof(cores), &cores) == 0;
}

pid_t bench_first_child(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &child) != 1)
		child = 0;
	if (f)
		fclose(f);
	return child;
}

int64_t bench_proc_kb(pid_t pid, const char *file, const char *field)
{
	char path[64], line[256];
	size_t length = strlen(field);
	int64_t found = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, field, length) == 0 && line[length] == ':')
			found = atoll(line + length + 1);
	fclose(f);
	return found;
}

int64_t bench_peak_start(pid_t pid)
{
	char path[64];
	FILE *f;
	bool reset;

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
	f = fopen(path, "we");
	/* 5: the high-water mark begins anew at what is resident now (proc(5)). */
	reset = f && fputs("5", f) >= 0;
	if (f && fclose(f) != 0)
		reset = false;
	return reset ? bench_proc_kb(pid, "status", "VmRSS") : -1;
}

int64_t bench_peak_end(pid_t pid, int64_t before)
{
	return bench_proc_kb(pid, "status", "VmHWM") - before;
}

int64_t bench_descriptors(pid_t pid)
{
	char path[64];
	int64_t count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (!directory)
		return -1;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}
