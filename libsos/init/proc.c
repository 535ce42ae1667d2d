/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/child.h"
#include "init/reserve.h"
#include "init/text.h"
#include "util/clock.h"

#define PROCS_MAX 8192u
#define SESSIONS_MAX 256u
#define TICK_NS INT64_C(10000000) /* USER_HZ is 100 on every architecture that matters */
#define PATIENCE_MS 1000

enum verdict { UNKNOWN, UNDER_WAY, SPARED, DOOMED };

struct proc {
	pid_t pid, parent, group, session;
	char state;
	uint8_t verdict;
	uint64_t start; /* ticks since boot */
};

/* One hunt: by a command of a session (shell set) or for a tree (root set). */
struct hunt {
	pid_t shell, root, last;
	bool root_lives;
	uint64_t tick; /* the command's start */
	pid_t sessions[SESSIONS_MAX]; /* that the doomed made for themselves: who is orphaned there stays doomed */
	unsigned session_count;
};

static int proc_fd = -1;
static struct proc procs[PROCS_MAX];
static unsigned count;

int sos_proc_init(void)
{
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0 ? -errno : 0;
}

int sos_proc_dir(void)
{
	return proc_fd;
}

/* "pid (comm) S ppid pgrp session ..."; comm may hold anything, so from the last parenthesis on. */
static bool parse_stat(char *text, struct proc *p)
{
	char *s = strrchr(text, ')');
	if (!s || s[1] != ' ')
		return false;
	p->state = s[2];
	s += 3;
	for (int field = 4; field <= 22; field++) {
		long long value = strtoll(s, &s, 10);
		if (field == 4)
			p->parent = (pid_t)value;
		else if (field == 5)
			p->group = (pid_t)value;
		else if (field == 6)
			p->session = (pid_t)value;
		else if (field == 22)
			p->start = (uint64_t)value;
	}
	return true;
}

static bool read_proc(pid_t pid, struct proc *p)
{
	struct sos_text path;
	char text[1024];
	sos_text_clear(&path);
	sos_text_number(&path, (uint64_t)pid);
	sos_text_string(&path, "/stat");
	int fd = openat(proc_fd, path.data, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	p->pid = pid;
	p->verdict = UNKNOWN;
	return parse_stat(text, p);
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct proc *)a)->pid, y = ((const struct proc *)b)->pid;
	return x < y ? -1 : x > y;
}

/* Everybody, by ascending pid. More than fit: the rest is seen when these are gone. */
static void scan(void)
{
	struct entry {
		uint64_t inode;
		int64_t offset;
		uint16_t length;
		uint8_t type;
		char name[];
	};
	static char buffer[16384] __attribute__((aligned(8)));
	count = 0;
	lseek(proc_fd, 0, SEEK_SET);
	long n;
	while ((n = syscall(SYS_getdents64, proc_fd, buffer, sizeof buffer)) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(buffer + at);
			uint64_t pid;
			at += e->length;
			if (sos_text_parse(e->name, strlen(e->name), INT32_MAX, &pid) == 0 && count < PROCS_MAX &&
			    read_proc((pid_t)pid, &procs[count]))
				count++;
		}
	}
	qsort(procs, count, sizeof *procs, by_pid);
}

static struct proc *find(pid_t pid)
{
	struct proc key = { .pid = pid };
	return bsearch(&key, procs, count, sizeof *procs, by_pid);
}

/* Within the tick in which the command started (and the one before: its start is told with a delay) the pid decides. */
static enum verdict by_start(const struct hunt *h, const struct proc *p)
{
	if (p->start > h->tick)
		return DOOMED;
	return p->start + 1 >= h->tick && p->pid > h->last ? DOOMED : SPARED;
}

static bool own_session(const struct hunt *h, const struct proc *p)
{
	for (unsigned i = 0; i < h->session_count; i++)
		if (h->sessions[i] == p->session)
			return true;
	return false;
}

/* A verdict, or the process whose verdict it shares. */
static enum verdict judge(const struct hunt *h, struct proc *p, struct proc **same_as)
{
	if (p->pid == 1 || p->pid == h->shell)
		return SPARED;
	if ((p->pid == h->root && h->root_lives) || own_session(h, p))
		return DOOMED;
	if (h->shell && p->parent == h->shell)
		return by_start(h, p);
	struct proc *parent = p->parent > 1 ? find(p->parent) : NULL;
	if (parent) {
		*same_as = parent;
		return UNKNOWN;
	}
	if (h->root)
		return p->session == h->root ? DOOMED : SPARED;
	if (p->session != h->shell)
		return SPARED;
	struct proc *leader = p->group != p->pid && p->group != h->shell ? find(p->group) : NULL;
	if (!leader || leader->verdict == UNDER_WAY)
		return by_start(h, p);
	*same_as = leader;
	return UNKNOWN;
}

/* Follow the chain of "same as" to a verdict, then give it to all of the chain. */
static enum verdict decide(const struct hunt *h, struct proc *p)
{
	static struct proc *chain[PROCS_MAX];
	unsigned length = 0;
	enum verdict verdict = p->verdict;
	while (verdict == UNKNOWN) {
		struct proc *next = NULL;
		chain[length++] = p;
		p->verdict = UNDER_WAY;
		verdict = judge(h, p, &next);
		if (verdict != UNKNOWN)
			break;
		verdict = next->verdict == UNDER_WAY ? by_start(h, p) : (enum verdict)next->verdict;
		p = next;
	}
	for (unsigned i = 0; i < length; i++)
		chain[i]->verdict = (uint8_t)verdict;
	return verdict;
}

/* A session is inherited or made: one that a doomed process is in, and is not the shell's, was made by the doomed. */
static void remember_session(struct hunt *h, const struct proc *p)
{
	if (p->session > 1 && p->session != h->shell && h->session_count < SESSIONS_MAX && !own_session(h, p))
		h->sessions[h->session_count++] = p->session;
}

/* SIGKILL to exactly the process that was looked at. Gives a pidfd that becomes readable at its end, or -1. */
static int kill_one(const struct proc *p)
{
	struct proc now;
	int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (!read_proc(p->pid, &now) || now.start != p->start) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
		kill(p->pid, SIGKILL);
	return fd;
}

static void wait_for(struct pollfd *ends, unsigned n, int64_t deadline)
{
	for (unsigned i = 0; i < n; i++) {
		poll(&ends[i], 1, sos_clock_poll_ms(deadline));
		close(ends[i].fd);
	}
}

/* Scan and kill until a scan finds nobody. */
static uint32_t run(struct hunt *h)
{
	int64_t deadline = sos_clock_deadline(PATIENCE_MS);
	uint32_t killed = 0;
	bool found = true;
	sos_reserve_spend();
	while (found && sos_clock_ns() < deadline) {
		struct pollfd ends[32];
		unsigned waiting = 0;
		found = false;
		scan();
		for (unsigned i = 0; i < count; i++)
			if (procs[i].state != 'X' && decide(h, &procs[i]) == DOOMED)
				remember_session(h, &procs[i]);
		for (unsigned i = 0; i < count; i++) {
			if (procs[i].verdict != DOOMED || procs[i].state == 'Z' || procs[i].state == 'X')
				continue;
			found = true;
			killed++;
			int fd = kill_one(&procs[i]);
			if (fd >= 0 && waiting < 32)
				ends[waiting++] = (struct pollfd){ .fd = fd, .events = POLLIN };
			else if (fd >= 0)
				close(fd);
		}
		int64_t step = sos_clock_deadline(100);
		wait_for(ends, waiting, step < deadline ? step : deadline);
		while (sos_child_reap())
			;
	}
	sos_reserve_refill();
	return killed;
}

uint32_t sos_proc_kill_command(pid_t shell, uint64_t elapsed_ns, pid_t last)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	static struct hunt h;
	memset(&h, 0, sizeof h);
	h.shell = shell;
	h.last = last;
	h.tick = elapsed_ns < now ? (now - elapsed_ns) / TICK_NS : 0;
	return run(&h);
}

uint32_t sos_proc_kill_tree(pid_t root, bool lives)
{
	static struct hunt h;
	memset(&h, 0, sizeof h);
	h.root = root;
	h.root_lives = lives;
	return run(&h);
}

static bool alone(void)
{
	scan();
	for (unsigned i = 0; i < count; i++)
		if (procs[i].pid != 1 && procs[i].state != 'Z' && procs[i].state != 'X')
			return false;
	return true;
}

bool sos_proc_kill_all(void)
{
	int64_t deadline = sos_clock_deadline(2 * PATIENCE_MS);
	bool done = false;
	sos_reserve_spend();
	while (!done && sos_clock_ns() < deadline) {
		kill(-1, SIGKILL);
		while (sos_child_reap())
			;
		done = alone();
		/* Whoever is left becomes ours when its parent dies, so that SIGCHLD tells of every end. */
		if (!done)
			sos_child_wait(20);
	}
	while (sos_child_reap())
		;
	sos_reserve_refill();
	return done;
}
