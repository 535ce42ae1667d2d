/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What runs inside the container, linked statically: the floors, measured with
 * the image's own bash, under the container's own seccomp filter and cgroup.
 *
 *   inside pause         PID 1 of the container of the rivals
 *   inside typed TEXT    TEXT and a newline typed into `bash --norc --noprofile`
 *                        on two pipes, until a line of output is there
 *   inside typed-one TEXT, typed-two TEXT
 *                        the same with both pinned to one core, to two cores
 *   inside spawn TEXT    posix_spawn of `bash -c TEXT` with a pipe for its
 *                        output, read to its end, and waitpid
 *   inside flow BYTES    the time until that many bytes of /dev/zero, written by
 *                        `head -c`, were read from a pipe
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "inside: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* With `in` -1 stdin is /dev/null. */
static pid_t spawn(const char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	errno = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (errno)
		die(argv[0]);
	return pid;
}

static void pin(pid_t pid, int core)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	if (sched_setaffinity(pid, sizeof(cores), &cores) < 0)
		die("pin");
}

static int64_t typed_once(const char *text, size_t length, int to, int from)
{
	char answer[4096];
	size_t have = 0;
	int64_t start = now_ns();

	if (write(to, text, length) != (ssize_t)length)
		return -1;
	do {
		ssize_t n = read(from, answer + have, sizeof(answer) - have);

		if (n <= 0)
			return -1;
		have += (size_t)n;
	} while (answer[have - 1] != '\n');
	return now_ns() - start;
}

static int64_t spawn_once(const char *const *argv, uint64_t expected)
{
	static char scrap[1 << 20];
	uint64_t total = 0;
	int ends[2], status;
	int64_t start = now_ns();
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe");
	pid = spawn(argv, -1, ends[1]);
	close(ends[1]);
	while ((n = read(ends[0], scrap, sizeof(scrap))) > 0)
		total += (uint64_t)n;
	close(ends[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0 || (expected && total != expected))
		return -1;
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	const char *bash[] = { "bash", "--norc", "--noprofile", NULL };
	const char *text[] = { "bash", "-c", argv[argc - 1], NULL };
	const char *flow[] = { "head", "-c", argv[argc - 1], "/dev/zero", NULL };
	int to[2] = { -1, -1 }, from[2] = { -1, -1 };
	char line[64], *input = NULL;

	if (argc == 2 && strcmp(argv[1], "pause") == 0) {
		sigset_t term;
		int which;

		sigemptyset(&term);
		sigaddset(&term, SIGTERM);
		sigprocmask(SIG_BLOCK, &term, NULL);
		sigwait(&term, &which);
		return 0;
	}
	if (argc != 3)
		return 2;
	if (strncmp(argv[1], "typed", 5) == 0) {
		pid_t pid;

		if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0 || asprintf(&input, "%s\n", argv[2]) < 0)
			die("pipe");
		pid = spawn(bash, to[0], from[1]);
		if (argv[1][5]) {
			pin(0, 0);
			pin(pid, strcmp(argv[1], "typed-two") == 0);
		}
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (long i = atol(line); i > 0; i--) {
			int64_t ns;

			if (input)
				ns = typed_once(input, strlen(input), to[1], from[0]);
			else if (strcmp(argv[1], "spawn") == 0)
				ns = spawn_once(text, 0);
			else
				ns = spawn_once(flow, strtoull(argv[2], NULL, 10));
			printf("%lld\n", (long long)ns);
		}
		fflush(stdout);
	}
	return 0;
}
