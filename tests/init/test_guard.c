/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PID 1 out of the tenant's reach, who is root beside it with the capabilities of a sandbox.
 * usage: test_guard SOS-INIT | test_guard --attack | test_guard --zombies (inside) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/box.h"
#include "lib/tap.h"

static const char *init;

/* ---- inside: each line "name result" on stdout; "denied" is what is wanted ---- */

static void tell(const char *name, long result)
{
	printf("%s %s\n", name, result < 0 ? "denied" : "ALLOWED");
}

static void forge_term(void)
{
	siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
	/* si_pid stays 0, as if from outside. */
	syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &info);
	info.si_code = SI_USER;
	tell("forged-user-signal", syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &info));
	info.si_code = SI_KERNEL;
	tell("forged-kernel-signal", syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &info));
	for (int i = 1; i <= 64; i++)
		kill(1, i);
	for (int i = 0; i < 1000; i++)
		kill(1, i % 2 ? SIGTERM : SIGCHLD);
}

static void attack_by_proc(void)
{
	static const char *const read_only[] = {"mem", "environ", "maps", "auxv", "stack", "syscall",
						"io",  "fd/3",    "fd/1", "exe",  "cwd/.", "root/."};
	/* oom_score_adj can be raised by root (no check of the kernel's stands in the way): it makes PID 1 the first to
	 * go when this sandbox runs out of memory, which ends this sandbox. */
	static const char *const writable[] = {"mem",           "clear_refs", "comm",
					       "timerslack_ns", "loginuid",   "attr/current"};
	char path[64], byte;
	for (unsigned i = 0; i < sizeof read_only / sizeof *read_only; i++) {
		snprintf(path, sizeof path, "/proc/1/%s", read_only[i]);
		int fd = open(path, O_RDONLY);
		tell(path, fd < 0 ? -1 : read(fd, &byte, 1) < 0 && errno != EISDIR ? -1 : 0);
	}
	for (unsigned i = 0; i < sizeof writable / sizeof *writable; i++) {
		snprintf(path, sizeof path, "/proc/1/%s (write)", writable[i]);
		*strchr(path, ' ') = 0;
		int fd = open(path, O_WRONLY);
		path[strlen(path)] = ' ';
		tell(path, fd < 0 ? -1 : write(fd, "7", 1));
	}
}

static int attack(void)
{
	struct rlimit none = {0, 0};
	cpu_set_t cpus;
	char byte;
	struct iovec own = {&byte, 1}, other = {(void *)0x400000, 1};
	struct sched_param idle = {0};
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	tell("ptrace-attach", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	tell("ptrace-seize", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
	tell("process_vm_readv", process_vm_readv(1, &own, 1, &other, 1, 0));
	tell("process_vm_writev", process_vm_writev(1, &own, 1, &other, 1, 0));
	tell("prlimit-nofile", prlimit(1, RLIMIT_NOFILE, &none, NULL));
	tell("prlimit-read", prlimit(1, RLIMIT_NOFILE, NULL, &none));
	tell("setpriority", setpriority(PRIO_PROCESS, 1, 19));
	tell("sched_setscheduler", sched_setscheduler(1, SCHED_IDLE, &idle));
	tell("sched_setaffinity", sched_setaffinity(1, sizeof cpus, &cpus));
	tell("ioprio_set", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 1, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);
	tell("pidfd_getfd", fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0));
	tell("kcmp", syscall(SYS_kcmp, getpid(), 1, 0, 0, 0));
	tell("setpgid", setpgid(1, 1));
	tell("perf", prctl(PR_SET_PTRACER, 1, 0, 0, 0) < 0 ? -1 : ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	attack_by_proc();
	forge_term();
	kill(1, SIGKILL);
	kill(1, SIGSTOP);
	return 0;
}

/* Ten thousand that nobody waits for, all left to PID 1 at once. */
static int leave_zombies(void)
{
	int made = 0;
	for (int i = 0; i < 10000; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		made += pid > 0;
	}
	printf("%d\n", made);
	return 0;
}

/* ---- outside ---- */

static void start(struct box *box, const struct box_options *o, const struct box_setup *setup)
{
	struct sos_frame hello;
	char why[256] = "";
	box_start(box, o);
	if (!box_accept(box, 5000, &hello))
		tap_bail("no hello");
	int e = box_setup(box, setup, NULL, why);
	if (e)
		tap_bail("setup: %d %s", e, why);
}

/* This program, passed in by descriptor, for nothing of the build tree is there. What it printed, of the caller's. */
static char *run_inside(struct box *box, const char *what, int *status)
{
	int out[2], self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const char *argv[] = {"/proc/self/fd/9", what, NULL};
	if (pipe2(out, O_CLOEXEC) < 0 || self < 0)
		tap_bail("pipe: %s", strerror(errno));
	struct box_fd fds[] = {{.target = 9, .end = SOS_END_PASSED, .mode = 1, .fd = self},
			       {.target = 1, .end = SOS_END_PASSED, .fd = out[1]},
			       {.target = 2, .end = SOS_END_DUP, .source = 1}};
	uint32_t id = box_spawn(box, SOS_KIND_STANDALONE, 0, argv, fds, 3);
	char why[256] = "";
	if (box_answer(box, id, NULL, why) != 0)
		tap_bail("%s cannot start: %s", what, why);
	*status = box_wait(box, id, 30000);
	char *text = box_read_until(out[0], NULL, 300);
	close(out[0]);
	return text;
}

static void run_attack(struct box *box, const char *who)
{
	int status;
	char *text = run_inside(box, "--attack", &status), *line, *rest = text;
	int count = 0;
	while ((line = strsep(&rest, "\n")) && *line) {
		tap_ok(strstr(line, " denied") != NULL, "%s: %s", who, line);
		count++;
	}
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0 && count > 30, "%s: all of it was tried (%d)", who, count);
	free(text);
}

static void test_zombies(void)
{
	struct box box;
	int status;
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){0});
	char *text = run_inside(&box, "--zombies", &status);
	tap_string(text, "10000\n", "ten thousand zombies");
	free(text);
	text = box_shell(&box,
			 "for i in {1..100}; do n=$(ps -e -o stat= | grep -c Z); [ $n = 0 ] && break; done; echo $n",
			 &status);
	tap_string(text, "0\n", "are buried");
	free(text);
	box_stop(&box);
}

static void test_reach(void)
{
	struct box box;
	struct sos_frame frame;
	char expected[32];
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){0});
	run_attack(&box, "root");
	char *text = box_shell(
		&box, "echo still there; grep -E '^(SigBlk|SigIgn|Groups)' /proc/1/status >/dev/null; nice", &(int){0});
	snprintf(expected, sizeof expected, "still there\n%d\n", getpriority(PRIO_PROCESS, 0));
	tap_string(text, expected, "PID 1 goes on");
	free(text);
	tap_ok(!box_receive(&box, 200, &frame) && box.pid && kill(box.pid, 0) == 0, "no SIGTERM from inside ended it");
	/* The descriptors that it needs are its own: a tenant that eats all it may have hurts itself. */
	text = box_shell(
		&box,
		"ulimit -n 8192 2>/dev/null; for ((i = 20; i < 4000; i++)); do eval \"exec $i</dev/null\"; done"
		" 2>/dev/null; echo eaten",
		&(int){0});
	tap_string(text, "eaten\n", "descriptors eaten");
	free(text);
	text = box_shell(&box, "echo goes on", &(int){0});
	tap_string(text, "goes on\n", "and it starts the next");
	free(text);
	kill(box.pid, SIGTERM);
	tap_ok(box_expect(&box, SOS_FRAME_CLOSING, 0, &frame) && box_ended(&box, 3000) >= 0,
	       "SIGTERM from outside does");
	box_stop(&box);

	start(&box, &(struct box_options){.init = init}, &(struct box_setup){.user = "agent"});
	run_attack(&box, "user");
	box_stop(&box);
	start(&box, &(struct box_options){.init = init, .strict_caps = true},
	      &(struct box_setup){.user = "agent", .flags = SOS_SETUP_STRICT});
	run_attack(&box, "strict");
	box_stop(&box);
	start(&box, &(struct box_options){.init = init, .network = true},
	      &(struct box_setup){.flags = SOS_SETUP_NETWORK});
	run_attack(&box, "root with a network");
	box_stop(&box);
}

static void test_network(void)
{
	struct box box;
	struct sos_frame hello;
	char why[256] = "";
	start(&box, &(struct box_options){.init = init, .network = true},
	      &(struct box_setup){.flags = SOS_SETUP_NETWORK});
	char *text = box_shell(&box,
			       "for a in 169.254.169.254 169.254.170.2 10.99.0.7; do ip route get $a 2>&1 | head -1 | "
			       "cut -c1-40; done;"
			       "ip -6 route get fd00:ec2::254 2>&1 | tail -1 | cut -c1-40;"
			       "ip route del unreachable 169.254.0.0/16 2>&1; ip link set sos0 down 2>&1 | tail -1;"
			       "grep -E 'Cap(Prm|Bnd)' /proc/1/status | tr -d '\\n\\t'",
			       &(int){0});
	tap_string(text,
		   "RTNETLINK answers: No route to host\nRTNETLINK answers: No route to host\n10.99.0.7 dev sos0 src "
		   "10.99.0.2 uid 0 \n"
		   "RTNETLINK answers: No route to host\n"
		   "RTNETLINK answers: Operation not permitted\nRTNETLINK answers: Operation not permitted\n"
		   "CapPrm:00000000000005fbCapBnd:00000000000004fb",
		   "link-local addresses are unreachable, the rest is not, and nobody can change that");
	free(text);
	box_stop(&box);

	box_start(&box, &(struct box_options){.init = init});
	if (!box_accept(&box, 5000, &hello))
		tap_bail("no hello");
	tap_equal(box_setup(&box, &(struct box_setup){.flags = SOS_SETUP_NETWORK}, NULL, why), EPERM,
		  "with a network that cannot be closed nothing starts: %s", why);
	const char *argv[] = {"true", NULL};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, argv, NULL, 0), NULL, NULL), EINVAL,
		  "indeed");
	box_stop(&box);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--attack") == 0)
		return attack();
	if (argc == 2 && strcmp(argv[1], "--zombies") == 0)
		return leave_zombies();
	if (argc != 2)
		tap_bail("usage: test_guard SOS-INIT");
	init = argv[1];
	signal(SIGPIPE, SIG_IGN);
	test_reach();
	test_network();
	test_zombies();
	return tap_done();
}
