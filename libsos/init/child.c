/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/control.h"
#include "init/hunt.h"
#include "init/relay.h"
#include "init/setup.h"
#include "init/text.h"
#include "util/clock.h"

static struct sos_child table[SOS_CHILDREN_MAX];
static unsigned used; /* entries from here on were never touched, and take no memory */
static uint64_t ends;

struct sos_child *sos_child_find(uint32_t id)
{
	for (unsigned i = 0; i < used; i++)
		if (table[i].state != SOS_CHILD_FREE && table[i].id == id)
			return &table[i];
	return NULL;
}

struct sos_stream *sos_child_stream(uint32_t id, uint32_t target, enum sos_stream_kind kind)
{
	struct sos_child *child = sos_child_find(id);
	for (unsigned i = 0; child && i < child->stream_count; i++) {
		struct sos_stream *s = &child->streams[i];
		if (s->target == target && s->kind == kind && s->event.fd >= 0)
			return s;
	}
	return NULL;
}

struct sos_child *sos_child_next(unsigned *i)
{
	while (*i < used) {
		struct sos_child *c = &table[(*i)++];
		if (c->state != SOS_CHILD_FREE)
			return c;
	}
	return NULL;
}

uint32_t sos_child_count(void)
{
	uint32_t count = 0;
	for (unsigned i = 0; sos_child_next(&i);)
		count++;
	return count;
}

struct sos_child *sos_child_new(void)
{
	struct sos_child *found = NULL;
	for (unsigned i = 0; i < used && !found; i++)
		if (table[i].state == SOS_CHILD_FREE)
			found = &table[i];
	if (!found && used < SOS_CHILDREN_MAX)
		found = &table[used++];
	if (!found) {
		for (unsigned i = 0; i < SOS_CHILDREN_MAX; i++)
			if (table[i].state == SOS_CHILD_EXITED && table[i].told &&
			    (!found || table[i].ended_at < found->ended_at))
				found = &table[i];
		if (!found)
			return NULL;
		sos_child_free(found);
	}
	memset(found, 0, sizeof *found);
	found->exec.fd = found->terminal.fd = found->slave = found->notify = -1;
	for (unsigned i = 0; i < SOS_SPAWN_FDS_MAX; i++) {
		found->streams[i].event.fd = found->streams[i].other = -1;
		found->streams[i].child = found;
	}
	return found;
}

void sos_child_free(struct sos_child *child)
{
	sos_event_close(&child->exec);
	sos_event_close(&child->terminal);
	if (child->slave >= 0)
		close(child->slave);
	child->slave = -1;
	sos_child_unnotify(child);
	for (unsigned i = 0; i < child->stream_count; i++)
		sos_stream_close(&child->streams[i]);
	child->state = SOS_CHILD_FREE;
}

void sos_child_unnotify(struct sos_child *child)
{
	if (child->notify >= 0)
		close(child->notify);
	child->notify = -1;
}

void sos_child_forget(struct sos_child *child)
{
	if (child->state == SOS_CHILD_STARTING && child->notify < 0)
		sos_control_error(child->id, ECANCELED, "forgotten while it started");
	bool lives = !child->ended;
	sos_child_free(child);
	if (lives)
		sos_hunt_tree(child->pid, true, &child->kin);
}

static void on_exec(struct sos_event *event, uint32_t events)
{
	sos_child_started((struct sos_child *)((char *)event - offsetof(struct sos_child, exec)));
}

/* What is written to the terminal is nobody's output, but a writer must not hang on it. */
static void on_terminal(struct sos_event *event, uint32_t events)
{
	static char discard[16384];
	ssize_t n = read(event->fd, discard, sizeof discard);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		sos_event_set(event, 0);
}

void sos_child_watch(struct sos_child *child)
{
	child->exec.ready = on_exec;
	child->terminal.ready = on_terminal;
	if (child->notify < 0)
		sos_event_set(&child->exec, EPOLLIN);
	if (child->terminal.fd >= 0)
		sos_event_set(&child->terminal, EPOLLIN);
}

static void refuse(struct sos_child *child, const struct sos_spawn_failure *failure)
{
	struct sos_text text;
	sos_text_clear(&text);
	switch (failure->stage) {
	case SOS_STAGE_DIRECTORY:
		sos_text_string(&text, "working directory \"");
		sos_text_string(&text, sos_setup_directory());
		break;
	case SOS_STAGE_USER:
		sos_text_string(&text, "become the user of \"");
		sos_text_string(&text, child->name);
		break;
	case SOS_STAGE_TERMINAL:
		sos_text_string(&text, "terminal of \"");
		sos_text_string(&text, child->name);
		break;
	case SOS_STAGE_DESCRIPTORS:
		sos_text_string(&text, "descriptors of \"");
		sos_text_string(&text, child->name);
		break;
	default:
		sos_text_string(&text, "start \"");
		sos_text_string(&text, child->name);
	}
	sos_text_string(&text, "\": ");
	sos_text_string(&text, strerror(failure->errnum));
	sos_control_error(child->id, failure->errnum, text.data);
	sos_child_free(child);
}

void sos_child_started(struct sos_child *child)
{
	struct sos_spawn_failure failure;
	ssize_t n = read(child->exec.fd, &failure, sizeof failure);
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !child->ended)
		return;
	sos_event_close(&child->exec);
	if (n == (ssize_t)sizeof failure) {
		refuse(child, &failure);
		return;
	}
	child->state = child->ended ? SOS_CHILD_EXITED : SOS_CHILD_RUNNING;
	if (child->notify < 0)
		sos_control_ok_u32(child->id, (uint32_t)child->pid);
	if (child->ended)
		sos_relay_ended(child);
	sos_relay_pump(child);
}

void sos_child_tell(struct sos_child *child)
{
	if (child->state != SOS_CHILD_EXITED || child->told || child->held || !sos_control_connected() ||
	    !sos_relay_settled(child))
		return;
	if (child->notify >= 0) {
		uint64_t end = SOS_NOTIFY_END(child->status);
		ssize_t n = write(child->notify, &end, sizeof end);
		(void)n; /* full: it is readable, and only the library can have filled it */
		child->told = true;
		return;
	}
	uint8_t data[SOS_FRAME_HEADER + 28];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, (uint32_t)child->status);
	sos_frame_put_u64(&w, child->user_us);
	sos_frame_put_u64(&w, child->system_us);
	sos_frame_put_u64(&w, child->max_rss_kib);
	child->told = true;
	sos_control_send(data, sos_frame_end(&w, SOS_FRAME_EXITED, 0, child->id));
	if (!sos_control_connected())
		child->told = false;
}

static uint64_t microseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void ended(struct sos_child *child, int status, const struct rusage *usage)
{
	child->ended = true;
	child->ended_at = ++ends;
	child->status = status;
	child->user_us = microseconds(usage->ru_utime);
	child->system_us = microseconds(usage->ru_stime);
	child->max_rss_kib = (uint64_t)usage->ru_maxrss;
	if (child->state == SOS_CHILD_STARTING) {
		sos_child_started(child);
		return;
	}
	child->state = SOS_CHILD_EXITED;
	sos_relay_ended(child);
	sos_relay_pump(child);
}

bool sos_child_reap(void)
{
	for (int i = 0; i < 256; i++) {
		int status;
		struct rusage usage;
		pid_t pid = wait4(-1, &status, WNOHANG | WUNTRACED | __WALL, &usage);
		if (pid <= 0)
			return false;
		struct sos_child *child = NULL;
		for (unsigned k = 0; k < used && !child; k++)
			if (table[k].state != SOS_CHILD_FREE && !table[k].ended && table[k].pid == pid)
				child = &table[k];
		if (!child)
			continue;
		if (!WIFSTOPPED(status))
			ended(child, status, &usage);
		else if (child->kind == SOS_KIND_SESSION)
			kill(-pid, SIGCONT); /* nobody could bring a stopped shell back */
	}
	return true;
}

void sos_child_wait(int ms)
{
	sigset_t set;
	struct timespec t = sos_clock_timespec((int64_t)ms * 1000000);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &t);
}
