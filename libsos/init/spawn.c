/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/child.h"
#include "init/control.h"
#include "init/environ.h"
#include "init/file.h"
#include "init/hunt.h"
#include "init/launch.h"
#include "init/proc.h"
#include "init/relay.h"
#include "init/reserve.h"
#include "init/resume.h"
#include "init/setup.h"
#include "init/terminal.h"
#include "init/text.h"

#define TARGET_MAX 1023u

static struct rlimit childrens_files;

void sos_spawn_init(void)
{
	if (getrlimit(RLIMIT_NOFILE, &childrens_files) < 0)
		return;
	struct rlimit own = {childrens_files.rlim_max, childrens_files.rlim_max};
	setrlimit(RLIMIT_NOFILE, &own);
}

/* What is being put together for one child. */
struct plan {
	struct sos_child *child;
	const struct sos_frame_spawn *spawn;
	const int *passed; /* the connection closes them when the frame is done with */
	unsigned passed_count, passed_next;
	int source[SOS_SPAWN_FDS_MAX];    /* by index of spawn->fds */
	int owned[2 * SOS_SPAWN_FDS_MAX]; /* the child's ends: closed here once it is forked */
	unsigned owned_count;
};

static int own(struct plan *p, int fd)
{
	if (fd >= 0)
		p->owned[p->owned_count++] = fd;
	return fd;
}

static void release(struct plan *p)
{
	while (p->owned_count)
		close(p->owned[--p->owned_count]);
}

/* A descriptor of the same file, opened anew with other flags. */
static int reopen(int fd, int flags)
{
	struct sos_text path;
	sos_text_clear(&path);
	sos_text_string(&path, "self/fd/");
	sos_text_number(&path, (uint64_t)fd);
	return openat(sos_proc_dir(), path.data, flags | O_CLOEXEC);
}

static struct sos_stream *keep(struct plan *p, enum sos_stream_kind kind, uint32_t target, int fd)
{
	struct sos_stream *s = &p->child->streams[p->child->stream_count++];
	s->kind = kind;
	s->target = target;
	s->event.fd = fd;
	sos_relay_prepare(s);
	sos_resume_prepare(s);
	return s;
}

/* A session's pipes outlive whatever its shell does with its own ends (`exec` of another program closes them): a full
 * command pipe then means "nobody has read it yet" and nothing else. */
static int keep_other(struct plan *p, struct sos_stream *s, int fd)
{
	if (p->spawn->kind == SOS_KIND_SESSION && (s->other = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
		return -errno;
	return 0;
}

/* Where it is not so already: a pipe of root's for root needs nothing. */
static int give(int fd, struct stat *st, uid_t uid, gid_t gid)
{
	if (st->st_uid == uid && st->st_gid == gid)
		return 0;
	if (fchown(fd, uid, gid) < 0)
		return errno == EPERM || errno == EINVAL ? 0 : -errno;
	st->st_uid = uid;
	st->st_gid = gid;
	return 0;
}

/* The container's end of a pipe of the library's: the child's user owns it from now on, so that it can open
 * /dev/stdout. The library's end, by the same inode, is kept for the day it is gone. That of a standalone command's
 * input is not: its end of file is the library's to give. */
static int take_pipe(struct plan *p, uint32_t target, int fd)
{
	const struct sos_user *user = sos_setup_user();
	struct stat st;
	int mode = fcntl(fd, F_GETFL);
	if (mode < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || (mode & O_ACCMODE) == O_RDWR)
		return -EINVAL;
	bool out = (mode & O_ACCMODE) == O_WRONLY;
	if (out || p->spawn->kind == SOS_KIND_SESSION) {
		/* Ours first: an ordinary user's pipe could not be opened by a root without DAC_OVERRIDE. */
		int e = give(fd, &st, 0, 0);
		if (e < 0)
			return e;
		int other = reopen(fd, (out ? O_RDONLY : O_WRONLY) | O_NONBLOCK);
		if (other < 0)
			return -errno;
		e = keep_other(p, keep(p, out ? SOS_STREAM_KEPT_OUT : SOS_STREAM_KEPT_IN, target, other), fd);
		if (e < 0)
			return e;
	}
	return give(fd, &st, user->uid, user->gid);
}

static int take_passed(struct plan *p, const struct sos_frame_fd *f)
{
	struct stat st;
	if (p->passed_next == p->passed_count)
		return -EINVAL;
	int fd = p->passed[p->passed_next++];
	if (f->mode == 0) {
		int e = take_pipe(p, f->target, fd);
		return e < 0 ? e : fd;
	}
	return f->mode == 1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fd : -EINVAL;
}

static int make_pipe(struct plan *p, const struct sos_frame_fd *f)
{
	const struct sos_user *user = sos_setup_user();
	bool in = f->end == SOS_END_IN;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	int childs = own(p, ends[in ? 0 : 1]), ours = ends[in ? 1 : 0];
	int e = keep_other(p, keep(p, in ? SOS_STREAM_RELAY_IN : SOS_STREAM_RELAY_OUT, f->target, ours), childs);
	if (e < 0)
		return e;
	fcntl(ours, F_SETFL, O_NONBLOCK);
	if (in)
		fcntl(ours, F_SETPIPE_SZ, 4096); /* one page: see relay.c */
	if (fchown(childs, user->uid, user->gid) < 0 && errno != EPERM)
		return -errno;
	return childs;
}

/* The child gets a reading end of its own: it may seek, and cannot write into what the library put there. */
static int make_file(struct plan *p, const struct sos_frame_fd *f)
{
	int fd = sos_file_take(p->child->id, f->target);
	if (fd < 0)
		return fd;
	keep(p, SOS_STREAM_FILE, f->target, fd);
	int childs = own(p, reopen(fd, O_RDONLY));
	return childs < 0 ? -errno : childs;
}

static int find_source(const struct plan *p, unsigned count, uint32_t target)
{
	for (unsigned i = 0; i < count; i++)
		if (p->spawn->fds[i].target == target)
			return p->source[i];
	return -EINVAL;
}

static int make_source(struct plan *p, unsigned i)
{
	const struct sos_frame_fd *f = &p->spawn->fds[i];
	if (f->target > TARGET_MAX || find_source(p, i, f->target) >= 0)
		return -EINVAL;
	switch (f->end) {
	case SOS_END_PASSED:
		return take_passed(p, f);
	case SOS_END_IN:
	case SOS_END_OUT:
		return make_pipe(p, f);
	case SOS_END_FILE:
		return make_file(p, f);
	case SOS_END_NULL:
		return sos_reserve_null();
	case SOS_END_CLOSED_IN:
		return sos_reserve_null_input();
	case SOS_END_DUP:
		return find_source(p, i, f->source);
	default:
		return -EINVAL;
	}
}

/* Ascending targets, and which output is the last. */
static void order_streams(struct sos_child *child)
{
	struct sos_stream *last = NULL;
	unsigned outputs = 0;
	for (unsigned i = 1; i < child->stream_count; i++)
		for (unsigned k = i; k && child->streams[k].target < child->streams[k - 1].target; k--) {
			struct sos_stream s = child->streams[k];
			child->streams[k] = child->streams[k - 1];
			child->streams[k - 1] = s;
		}
	for (unsigned i = 0; i < child->stream_count; i++) {
		enum sos_stream_kind kind = child->streams[i].kind;
		if (kind != SOS_STREAM_KEPT_OUT && kind != SOS_STREAM_RELAY_OUT)
			continue;
		outputs++;
		last = &child->streams[i];
	}
	if (outputs > 1)
		last->last = true;
}

/* 0 or a negative errno. */
static int start(struct plan *p, struct sos_launch *launch)
{
	const struct sos_frame_spawn *spawn = p->spawn;
	struct sos_child *child = p->child;
	int exec_pipe[2];
	for (unsigned i = 0; i < spawn->fd_count; i++) {
		p->source[i] = make_source(p, i);
		if (p->source[i] < 0)
			return p->source[i];
		launch->source[i] = p->source[i];
		launch->target[i] = (int)spawn->fds[i].target;
	}
	launch->fd_count = spawn->fd_count;
	order_streams(child);
	if (spawn->kind == SOS_KIND_SESSION) {
		int e = sos_terminal_open(sos_setup_user()->uid, &child->terminal.fd, &child->slave);
		if (e < 0)
			return e;
		launch->terminal = child->slave;
	}
	if (pipe2(exec_pipe, O_CLOEXEC) < 0)
		return -errno;
	child->exec.fd = exec_pipe[0];
	fcntl(exec_pipe[0], F_SETFL, O_NONBLOCK);
	launch->report = own(p, exec_pipe[1]);
	child->pid = sos_launch(launch);
	return child->pid < 0 ? -errno : 0;
}

static void refuse(const struct sos_frame *frame, int errnum, const char *what)
{
	struct sos_text text;
	sos_text_clear(&text);
	sos_text_string(&text, what);
	sos_text_string(&text, ": ");
	sos_text_string(&text, strerror(errnum));
	sos_control_error(frame->id, errnum, text.data);
}

static void give_files_back(struct sos_child *child)
{
	for (unsigned i = 0; i < child->stream_count; i++) {
		struct sos_stream *s = &child->streams[i];
		if (s->kind != SOS_STREAM_FILE)
			continue;
		sos_file_give_back(child->id, s->target, s->event.fd);
		s->event.fd = -1;
	}
}

/* An eventfd has no type of a file. */
static int take_notify(struct plan *p)
{
	struct stat st;
	int fd = p->passed[--p->passed_count];
	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) || !(fcntl(fd, F_GETFL) & O_NONBLOCK))
		return -EINVAL;
	p->child->notify = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return p->child->notify < 0 ? -errno : 0;
}

/* Put it together and fork; on failure nothing is left of it but the files that were put ahead. */
static int attempt(const struct sos_frame *frame, const struct sos_frame_spawn *spawn, const int *fds,
		   struct sos_launch *launch)
{
	struct sos_child *child = sos_child_new();
	if (!child)
		return -EAGAIN;
	struct plan p = {.child = child, .spawn = spawn, .passed = fds, .passed_count = frame->fds};
	int e = spawn->flags & SOS_SPAWN_NOTIFY ? take_notify(&p) : 0;
	child->id = frame->id;
	child->kind = spawn->kind;
	strncpy(child->name, launch->path[0] ? launch->path : launch->argv[0], sizeof child->name - 1);
	e = e < 0 ? e : start(&p, launch);
	release(&p);
	if (e < 0) {
		give_files_back(child);
		sos_child_free(child);
		return e;
	}
	child->state = SOS_CHILD_STARTING;
	sos_child_watch(child);
	return 0;
}

/* The strings lie in the connection's buffer, each followed by something that was read already. */
static const char *terminated(struct sos_frame_string s)
{
	char *p = (char *)(uintptr_t)s.data;
	p[s.length] = 0;
	return p;
}

bool sos_spawn(const struct sos_frame *frame, const int *fds)
{
	static struct sos_frame_string strings[SOS_FRAME_LIST_MAX];
	static const char *argv[SOS_FRAME_LIST_MAX + 1];
	struct sos_frame_fd fd[SOS_SPAWN_FDS_MAX];
	struct sos_frame_spawn spawn;
	if (!sos_frame_read_spawn(frame, &spawn, strings, SOS_FRAME_LIST_MAX, fd))
		return false;
	if (!spawn.argc || (spawn.kind != SOS_KIND_SESSION && spawn.kind != SOS_KIND_STANDALONE) ||
	    sos_child_find(frame->id))
		return false;
	if ((spawn.flags & SOS_SPAWN_NOTIFY) && (!frame->fds || spawn.kind != SOS_KIND_STANDALONE))
		return false;
	if (!sos_setup_done()) {
		sos_control_error(frame->id, EINVAL, "not set up yet");
		return true;
	}
	for (uint32_t i = 0; i < spawn.argc; i++)
		argv[i] = terminated(strings[i]);
	argv[spawn.argc] = NULL;
	bool judge = spawn.flags & SOS_SPAWN_JUDGE;
	if (judge && !sos_hunt_all()) {
		sos_control_error(frame->id, EBUSY, "judge: some processes could not be killed");
		return true;
	}
	struct sos_launch launch = {.path = terminated(spawn.path),
				    .argv = argv,
				    .terminal = -1,
				    .kind = spawn.kind,
				    .environment = judge ? sos_environ_clean() : sos_environ(),
				    .files = childrens_files};
	int e = attempt(frame, &spawn, fds, &launch);
	if (e == -EMFILE || e == -ENFILE) {
		sos_reserve_spend();
		e = attempt(frame, &spawn, fds, &launch);
		sos_reserve_refill();
	}
	if (e < 0) {
		sos_file_forget(frame->id);
		refuse(frame, -e, "spawn");
	}
	return true;
}
