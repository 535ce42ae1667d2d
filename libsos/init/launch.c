/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/caps.h"
#include "init/child.h"
#include "init/environ.h"
#include "init/proc.h"
#include "init/setup.h"

#define OOM_SCORE_ADJ "500" /* when memory is short, the tenant's processes go, and PID 1 stays */

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static int report;

static _Noreturn void fail(enum sos_spawn_stage stage)
{
	struct sos_spawn_failure failure = {.stage = stage, .errnum = errno};
	while (write(report, &failure, sizeof failure) < 0 && errno == EINTR)
		;
	_exit(127);
}

static void reset_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL); /* the only one that PID 1 changed */
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void raise_oom_score(void)
{
	int fd = openat(sos_proc_dir(), "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = write(fd, OOM_SCORE_ADJ, sizeof OOM_SCORE_ADJ - 1);
	(void)n; /* read-only /proc: the order of the OOM killer is then its own */
	close(fd);
}

/* Everything is close-on-exec. Sources may have the numbers of targets, so all move out of the way first. */
static void place_descriptors(const struct sos_launch *l)
{
	int moved[SOS_SPAWN_FDS_MAX], above = 3;
	for (unsigned i = 0; i < l->fd_count; i++)
		if (l->target[i] >= above)
			above = l->target[i] + 1;
	report = fcntl(l->report, F_DUPFD_CLOEXEC, above);
	if (report < 0) {
		report = l->report;
		fail(SOS_STAGE_DESCRIPTORS);
	}
	syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC); /* should one ever have been forgotten */
	for (unsigned i = 0; i < l->fd_count; i++)
		if ((moved[i] = fcntl(l->source[i], F_DUPFD_CLOEXEC, above)) < 0)
			fail(SOS_STAGE_DESCRIPTORS);
	for (unsigned i = 0; i < l->fd_count; i++)
		if (dup2(moved[i], l->target[i]) < 0)
			fail(SOS_STAGE_DESCRIPTORS);
}

static void become_user(void)
{
	const struct sos_user *u = sos_setup_user();
	const char *directory = sos_setup_directory();
	sos_caps_child_raise();
	bool there = !directory[0] || chdir(directory) == 0;
	if (setgroups(u->group_count, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		fail(SOS_STAGE_USER);
	/* Only the user may be let in, as on a network file system that squashes root. */
	if (!there && chdir(directory) < 0)
		fail(SOS_STAGE_DIRECTORY);
	if (u->uid == 0 && (errno = -sos_caps_child_final()) != 0)
		fail(SOS_STAGE_USER);
}

/* As execvp has it: a file that the kernel does not know is a script for sh. */
static void try_exec(const char *path, const struct sos_launch *l)
{
	static const char *script[SOS_FRAME_LIST_MAX + 2];
	execve(path, (char **)(uintptr_t)l->argv, l->environment);
	if (errno != ENOEXEC)
		return;
	unsigned n = 0;
	script[n++] = "/bin/sh";
	script[n++] = path;
	for (unsigned i = 1; l->argv[i]; i++)
		script[n++] = l->argv[i];
	script[n] = NULL;
	execve(script[0], (char **)(uintptr_t)script, l->environment);
	errno = ENOEXEC;
}

static void search_and_exec(const struct sos_launch *l)
{
	static char file[PATH_MAX];
	const char *name = l->argv[0], *path = sos_environ_get(l->environment, "PATH");
	size_t name_length = strlen(name);
	bool denied = false;
	if (!name_length) {
		errno = ENOENT;
		return;
	}
	if (strchr(name, '/')) {
		try_exec(name, l);
		return;
	}
	errno = ENOENT;
	while (path) {
		const char *colon = strchr(path, ':');
		size_t length = colon ? (size_t)(colon - path) : strlen(path);
		if (length + name_length + 2 <= sizeof file) {
			memcpy(file, path, length);
			memcpy(file + length, length ? "/" : "", length ? 1 : 0);
			memcpy(file + length + (length ? 1 : 0), name, name_length + 1);
			try_exec(file, l);
			if (errno == EACCES)
				denied = true;
			else if (errno != ENOENT && errno != ENOTDIR)
				return;
		}
		path = colon ? colon + 1 : NULL;
	}
	errno = denied ? EACCES : ENOENT;
}

static _Noreturn void run(const struct sos_launch *l)
{
	report = l->report;
	reset_signals();
	if (setsid() < 0 || (l->terminal >= 0 && ioctl(l->terminal, TIOCSCTTY, 0) < 0))
		fail(SOS_STAGE_TERMINAL);
	raise_oom_score();
	place_descriptors(l);
	setrlimit(RLIMIT_NOFILE, &l->files);
	become_user();
	if (l->path[0])
		try_exec(l->path, l);
	else
		search_and_exec(l);
	fail(SOS_STAGE_EXEC);
}

pid_t sos_launch(const struct sos_launch *launch)
{
	pid_t pid = fork();
	if (!pid)
		run(launch);
	return pid;
}
