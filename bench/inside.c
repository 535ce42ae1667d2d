/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What runs inside the container, linked statically: the floors, measured with
 * the image's own bash, under the container's own seccomp filter and cgroup.
 *
 *   inside pause         PID 1 of the container of the rivals
 *   inside shell SOCKET  `bash --norc --noprofile` on three pipes (0, 1 and 3)
 *                        that sos-bench passes through SOCKET: then nothing is
 *                        between them
 *   inside spawn BYTES TEXT
 *                        posix_spawn of `bash -c TEXT` with a pipe for its
 *                        output, read to its end, and waitpid; so many bytes
 *                        must come
 *   inside file BYTES PATH
 *                        the same of `bash PATH`
 *   inside flow BYTES    the time until that many bytes of /dev/zero, written by
 *                        `head -c`, were read from a pipe
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* With `in` -1 stdin is /dev/null; `third`, if not -1, becomes descriptor 3. */
static pid_t spawn(const char *const *argv, int in, int out, int third)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (third >= 0)
		posix_spawn_file_actions_adddup2(&actions, third, 3);
	errno = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (errno)
		die(argv[0]);
	return pid;
}

/* The three descriptors that come with one byte over the socket at `path`. */
static void receive_pipes(const char *path, int pipes[3])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char byte, control[CMSG_SPACE(3 * sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *head;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != 1)
		die(path);
	head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_len != CMSG_LEN(3 * sizeof(int)))
		die("pipes");
	memcpy(pipes, CMSG_DATA(head), 3 * sizeof(int));
	/* Left open: its end tells sos-bench that we are gone. */
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
	pid = spawn(argv, -1, ends[1], -1);
	close(ends[1]);
	while ((n = read(ends[0], scrap, sizeof(scrap))) > 0)
		total += (uint64_t)n;
	close(ends[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0 || total != expected)
		return -1;
	return now_ns() - start;
}

/* Told "N\n", answer with N lines of nanoseconds. */
static void serve(const char *const *argv, uint64_t expected)
{
	char line[64];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (long i = atol(line); i > 0; i--)
			printf("%lld\n", (long long)spawn_once(argv, expected));
		fflush(stdout);
	}
}

static int pause_here(void)
{
	sigset_t term;
	int which;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigwait(&term, &which);
	return 0;
}

static int run_shell(const char *path)
{
	const char *bash[] = { "bash", "--norc", "--noprofile", NULL };
	int pipes[3];
	pid_t pid;

	receive_pipes(path, pipes);
	pid = spawn(bash, pipes[0], pipes[1], pipes[2]);
	for (int i = 0; i < 3; i++)
		close(pipes[i]);
	waitpid(pid, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	const char *text[] = { "bash", "-c", argv[argc - 1], NULL };
	const char *file[] = { "bash", argv[argc - 1], NULL };
	const char *flow[] = { "head", "-c", argv[argc - 1], "/dev/zero", NULL };

	if (argc == 2 && strcmp(argv[1], "pause") == 0)
		return pause_here();
	if (argc == 3 && strcmp(argv[1], "shell") == 0)
		return run_shell(argv[2]);
	if (argc == 4 && strcmp(argv[1], "spawn") == 0)
		serve(text, strtoull(argv[2], NULL, 10));
	else if (argc == 4 && strcmp(argv[1], "file") == 0)
		serve(file, strtoull(argv[2], NULL, 10));
	else if (argc == 3 && strcmp(argv[1], "flow") == 0)
		serve(flow, strtoull(argv[2], NULL, 10));
	else
		return 2;
	return 0;
}
