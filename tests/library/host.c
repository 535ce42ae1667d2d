/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the library does to its host process, as the header lists it: nothing but
 * some threads that block every signal and descriptors that close on exec. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/tap.h"

extern char **environ;

static volatile sig_atomic_t children, pipes;

static void on_child(int number)
{
	(void)number;
	children++;
}

static void on_pipe(int number)
{
	(void)number;
	pipes++;
}

static uint64_t environment_sum(void)
{
	uint64_t sum = 0;

	for (char **entry = environ; *entry; entry++)
		for (char *c = *entry; *c; c++)
			sum = sum * 31 + (unsigned char)*c;
	return sum;
}

static int handlers_changed(const struct sigaction *before)
{
	int changed = 0;

	for (int number = 1; number < 32; number++) {
		struct sigaction now;

		sigaction(number, NULL, &now);
		changed += now.sa_handler != before[number].sa_handler;
	}
	return changed;
}

/* Threads but this one that would take a signal that can be blocked. */
static int threads_that_take_signals(void)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(directory))) {
		char path[300], line[256];
		FILE *file;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == (int)getpid())
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof line, file)) {
			uint64_t blocked;

			/* 1 to 31, KILL and STOP excepted, which nobody can block */
			if (sscanf(line, "SigBlk: %lx", &blocked) == 1 && (~blocked & 0x7fffffff & ~(1ul << 8 | 1ul << 18)))
				count++;
		}
		if (file)
			fclose(file);
	}
	closedir(directory);
	return count;
}

static int descriptors_left_open_by_exec(const bool *before)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !before[fd] && !(flags & FD_CLOEXEC))
			count++;
	}
	return count;
}

static void use(struct sos_pool *pool, struct sos_sandbox *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	harness_expect(sandbox, "echo hello", "hello\n");
	/* a command that goes away before it reads what it is given: EPIPE, and no signal for it */
	options.command = "exec 0<&-; exit 0";
	options.flags = SOS_EXEC_STANDALONE;
	options.stdin_data = calloc(1, options.stdin_length = 4 << 20);
	sos_result_unref(harness_exec(sandbox, &options));
	free((void *)options.stdin_data);
	(void)pool;
}

/* The host process may fork at any time, with our locks in whatever state: the child execs or exits. */
static void test_fork(struct sos_sandbox *sandbox)
{
	int status, bad = 0;

	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i % 2)
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		bad += pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
	}
	tap_equal(bad, 0, "50 children that exec or exit");
	harness_expect(sandbox, "echo still", "still\n");
}

static void *nothing(void *data)
{
	return data;
}

int main(void)
{
	pthread_t first;
	struct sigaction before[32] = { 0 };
	sigset_t mask_before, mask_after;
	int silent[2], out, err;
	bool open_before[1024];
	char directory[512], directory_after[512], byte;
	uint64_t environment = environment_sum();
	int threads;
	struct sos_sandbox *sandbox;
	struct sos_pool *pool;

	pthread_create(&first, NULL, nothing, NULL); /* with the first one a sanitizer starts one of its own */
	pthread_join(first, NULL);
	threads = harness_threads();
	umask(027);
	setlocale(LC_ALL, "C.UTF-8");
	signal(SIGCHLD, on_child);
	signal(SIGPIPE, on_pipe);
	for (int number = 1; number < 32; number++)
		sigaction(number, NULL, &before[number]);
	pthread_sigmask(SIG_BLOCK, NULL, &mask_before);
	if (!getcwd(directory, sizeof directory) || pipe2(silent, O_CLOEXEC | O_NONBLOCK))
		tap_bail("cannot prepare");
	out = fcntl(1, F_DUPFD_CLOEXEC, 3);
	err = fcntl(2, F_DUPFD_CLOEXEC, 3);
	for (int fd = 0; fd < 1024; fd++)
		open_before[fd] = fcntl(fd, F_GETFD) >= 0;

	/* whatever the library printed would go into the pipe; our points do not, they come later */
	dup2(silent[1], 1);
	dup2(silent[1], 2);
	{
		struct sos_pool_options options = SOS_POOL_OPTIONS_INIT, nowhere = SOS_POOL_OPTIONS_INIT;
		struct sos_pool *none = NULL;

		options.capacity = 2;
		nowhere.engine = "unix:///no/such/socket";
		sos_pool_new(&nowhere, &none, NULL);
		pool = harness_pool_with(&options);
		sandbox = harness_start(pool, IMAGE_BASH);
		sos_result_unref(harness_run(sandbox, "echo not for your stdout; echo nor stderr >&2"));
	}
	dup2(out, 1);
	dup2(err, 2);
	tap_ok(read(silent[0], &byte, 1) < 0 && errno == EAGAIN, "the library prints nothing");

	use(pool, sandbox);
	tap_equal(handlers_changed(before), 0, "signal handlers are as they were");
	pthread_sigmask(SIG_BLOCK, NULL, &mask_after);
	tap_ok(!memcmp(&mask_before, &mask_after, sizeof mask_after), "the caller's signal mask too");
	tap_equal(threads_that_take_signals(), 0, "its %d threads block every signal", harness_threads() - 1);
	tap_equal(descriptors_left_open_by_exec(open_before), 0, "its descriptors close on exec");
	tap_equal(children, 0, "it starts no process");
	tap_equal(pipes, 0, "it raises no SIGPIPE");
	tap_ok(environment_sum() == environment, "the environment is as it was");
	tap_ok(getcwd(directory_after, sizeof directory_after) && !strcmp(directory, directory_after), "the directory");
	tap_equal(umask(027), 027, "the umask");
	tap_string(setlocale(LC_ALL, NULL), "C.UTF-8", "the locale");
	test_fork(sandbox);
	harness_stop(sandbox);
	sos_pool_free(pool);
	tap_equal(harness_threads(), threads, "no thread is left");
	return tap_done();
}
