/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/hunt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "init/child.h"
#include "init/proc.h"
#include "init/reserve.h"
#include "util/clock.h"

#define SESSIONS_MAX 256u
#define TICK_NS INT64_C(10000000) /* USER_HZ is 100 on every architecture that matters */
#define PATIENCE_MS 1000

enum verdict { UNKNOWN, UNDER_WAY, SPARED, DOOMED };

/* One hunt: by a command of a session (shell set) or for a tree (root set). */
struct hunt {
	pid_t shell, root, last;
	bool root_lives;
	uint64_t tick;                /* the command's start */
	pid_t sessions[SESSIONS_MAX]; /* that the doomed made for themselves: who is orphaned there stays doomed */
	unsigned session_count;
};

/* Within the tick in which the command started (and the one before: its start is told with a delay) the pid decides. */
static enum verdict by_time(const struct hunt *h, pid_t pid, uint64_t start)
{
	if (start > h->tick)
		return DOOMED;
	return start + 1 >= h->tick && pid > h->last ? DOOMED : SPARED;
}

static enum verdict by_start(const struct hunt *h, const struct sos_proc *p)
{
	return by_time(h, p->pid, p->start);
}

static bool own_session(const struct hunt *h, const struct sos_proc *p)
{
	for (unsigned i = 0; i < h->session_count; i++)
		if (h->sessions[i] == p->session)
			return true;
	return false;
}

/* A verdict, or the process whose verdict it shares. */
static enum verdict judge(const struct hunt *h, struct sos_proc *p, struct sos_proc **same_as)
{
	if (p->pid == 1 || p->pid == h->shell)
		return SPARED;
	if ((p->pid == h->root && h->root_lives) || own_session(h, p))
		return DOOMED;
	if (h->shell && p->parent == h->shell)
		return by_start(h, p);
	struct sos_proc *parent = p->parent > 1 ? sos_proc_find(p->parent) : NULL;
	if (parent) {
		*same_as = parent;
		return UNKNOWN;
	}
	if (h->root)
		return p->session == h->root ? DOOMED : SPARED;
	if (p->session != h->shell)
		return SPARED;
	struct sos_proc *leader = p->group != p->pid && p->group != h->shell ? sos_proc_find(p->group) : NULL;
	if (!leader || leader->mark == UNDER_WAY)
		return by_start(h, p);
	*same_as = leader;
	return UNKNOWN;
}

/* Follow the chain of "same as" to a verdict, then give it to all of the chain. */
static enum verdict decide(const struct hunt *h, struct sos_proc *p)
{
	static struct sos_proc *chain[SOS_PROCS_MAX];
	unsigned length = 0;
	enum verdict verdict = (enum verdict)p->mark;
	while (verdict == UNKNOWN) {
		struct sos_proc *next = NULL;
		chain[length++] = p;
		p->mark = UNDER_WAY;
		verdict = judge(h, p, &next);
		if (verdict != UNKNOWN)
			break;
		verdict = next->mark == UNDER_WAY ? by_start(h, p) : (enum verdict)next->mark;
		p = next;
	}
	for (unsigned i = 0; i < length; i++)
		chain[i]->mark = (uint8_t)verdict;
	return verdict;
}

static void add_session(struct hunt *h, pid_t session)
{
	for (unsigned i = 0; i < h->session_count; i++)
		if (h->sessions[i] == session)
			return;
	if (h->session_count < SESSIONS_MAX)
		h->sessions[h->session_count++] = session;
}

/* A session is inherited or made: one that a doomed process is in, and is not the shell's, was made by the doomed. */
static void follow_session(struct hunt *h, const struct sos_proc *p)
{
	if (p->session > 1 && p->session != h->shell)
		add_session(h, p->session);
}

static void add_kin(struct hunt *h, const struct sos_kin *kin)
{
	for (unsigned i = 0; i < SOS_KIN_MAX; i++)
		if (kin->of[i].session && (h->root || by_time(h, kin->of[i].top, kin->of[i].top_start) == DOOMED))
			add_session(h, kin->of[i].session);
}

void sos_hunt_remember(pid_t root, struct sos_kin *kin)
{
	unsigned count;
	struct sos_proc *procs = sos_proc_scan(&count);
	for (unsigned i = 0; i < count; i++) {
		struct sos_proc *top = &procs[i];
		unsigned steps = 0;
		if (procs[i].session == root || procs[i].session <= 1)
			continue;
		while (top && top->parent != root && steps++ < count)
			top = top->parent > 1 ? sos_proc_find(top->parent) : NULL;
		bool known = !top || top->parent != root;
		for (unsigned k = 0; k < SOS_KIN_MAX && !known; k++)
			known = kin->of[k].session == procs[i].session && kin->of[k].top_start == top->start;
		if (known)
			continue;
		unsigned at = kin->next++ % SOS_KIN_MAX;
		kin->of[at].session = procs[i].session;
		kin->of[at].top = top->pid;
		kin->of[at].top_start = top->start;
	}
}

/* SIGKILL to exactly the process that was looked at. Gives a pidfd that becomes readable at its end, or -1. */
static int kill_one(const struct sos_proc *p)
{
	struct sos_proc now;
	int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (!sos_proc_read(p->pid, &now) || now.start != p->start) {
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

/* Those that were killed in the last round, by ascending pid: they may take a while to be gone. */
static struct {
	pid_t pid;
	uint64_t start;
} killed[SOS_PROCS_MAX];
static unsigned killed_count;

static bool killed_before(const struct sos_proc *p, unsigned *at)
{
	while (*at < killed_count && killed[*at].pid < p->pid)
		++*at;
	return *at < killed_count && killed[*at].pid == p->pid && killed[*at].start == p->start;
}

/* Kill the doomed of a scan, and wait a little for their ends; but not while there are new ones, for those fork on.
 * How many were new; -1: nobody was left. */
static int kill_round(struct sos_proc *procs, unsigned count, int64_t deadline)
{
	struct pollfd ends[32];
	unsigned waiting = 0, at = 0, doomed = 0;
	int fresh = 0;
	for (unsigned i = 0; i < count; i++) {
		if (procs[i].mark != DOOMED || procs[i].state == 'Z' || procs[i].state == 'X')
			continue;
		fresh += !killed_before(&procs[i], &at);
		int fd = kill_one(&procs[i]);
		if (fd >= 0 && waiting < 32)
			ends[waiting++] = (struct pollfd){.fd = fd, .events = POLLIN};
		else if (fd >= 0)
			close(fd);
		procs[doomed++] = procs[i];
	}
	killed_count = doomed;
	for (unsigned i = 0; i < doomed; i++) {
		killed[i].pid = procs[i].pid;
		killed[i].start = procs[i].start;
	}
	wait_for(ends, waiting, fresh > 1 ? 0 : deadline);
	return doomed ? fresh : -1;
}

/* Scan and kill until a scan finds nobody. */
static uint32_t run(struct hunt *h)
{
	int64_t deadline = sos_clock_deadline(PATIENCE_MS);
	uint32_t total = 0;
	int fresh = 0;
	killed_count = 0;
	sos_reserve_spend();
	while (fresh >= 0 && sos_clock_ns() < deadline) {
		unsigned count;
		struct sos_proc *procs = sos_proc_scan(&count);
		for (unsigned i = 0; i < count; i++)
			if (procs[i].state != 'X' && decide(h, &procs[i]) == DOOMED)
				follow_session(h, &procs[i]);
		int64_t step = sos_clock_deadline(100);
		fresh = kill_round(procs, count, step < deadline ? step : deadline);
		total += fresh > 0 ? (uint32_t)fresh : 0;
		while (sos_child_reap())
			;
	}
	sos_reserve_refill();
	return total;
}

uint32_t sos_hunt_command(pid_t shell, uint64_t elapsed_ns, pid_t last, const struct sos_kin *kin)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	static struct hunt h;
	memset(&h, 0, sizeof h);
	h.shell = shell;
	h.last = last;
	h.tick = elapsed_ns < now ? (now - elapsed_ns) / TICK_NS : 0;
	add_kin(&h, kin);
	return run(&h);
}

uint32_t sos_hunt_tree(pid_t root, bool lives, const struct sos_kin *kin)
{
	static struct hunt h;
	memset(&h, 0, sizeof h);
	h.root = root;
	h.root_lives = lives;
	add_kin(&h, kin);
	return run(&h);
}

static bool alone(void)
{
	unsigned count;
	const struct sos_proc *procs = sos_proc_scan(&count);
	for (unsigned i = 0; i < count; i++)
		if (procs[i].pid != 1 && procs[i].state != 'Z' && procs[i].state != 'X')
			return false;
	return true;
}

bool sos_hunt_all(void)
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
