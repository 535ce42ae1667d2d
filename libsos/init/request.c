/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/request.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "init/child.h"
#include "init/clocks.h"
#include "init/control.h"
#include "init/file.h"
#include "init/hunt.h"
#include "init/relay.h"
#include "init/resume.h"
#include "init/setup.h"
#include "init/spawn.h"
#include "init/terminal.h"
#include "util/clock.h"

void sos_request_hello(void)
{
	struct sos_frame_writer w;
	struct sos_frame_string record = sos_setup_record();
	sos_frame_begin(&w, sos_control_scratch(), SOS_CONTROL_SCRATCH);
	sos_frame_put_u32(&w, SOS_PROTOCOL_VERSION);
	sos_frame_put_u32(&w,
			  (sos_setup_done() ? SOS_HELLO_SET_UP : 0) | (sos_control_is_socket() ? SOS_HELLO_SOCKET : 0));
	sos_frame_put_u32(&w, sos_setup_shell());
	sos_frame_put_u32(&w, sos_child_count());
	sos_frame_put_string(&w, sos_control_nonce());
	sos_frame_put_bytes(&w, record.data, record.length);
	sos_control_send(w.data, sos_frame_end(&w, SOS_FRAME_HELLO, 0, 0));
}

/* A child that still has a process, or an ERROR that says it has not. */
static struct sos_child *living(uint32_t request, uint32_t id)
{
	struct sos_child *child = sos_child_find(id);
	if (child && !child->ended)
		return child;
	sos_control_error(request, ESRCH, "no such child, or it has ended");
	return NULL;
}

static bool on_signal(const struct sos_frame *frame, struct sos_frame_reader *r)
{
	uint32_t id = sos_frame_read_u32(r), number = sos_frame_read_u32(r), scope = sos_frame_read_u32(r);
	if (!sos_frame_read_done(r) || number > 64 || scope > SOS_SCOPE_TREE)
		return false;
	struct sos_child *child = sos_child_find(id);
	if (scope == SOS_SCOPE_TREE && child) {
		sos_hunt_tree(child->pid, !child->ended,
			      &child->kin); /* also after its end: what it left behind in its session */
		sos_control_ok(frame->id);
		return true;
	}
	child = living(frame->id, id);
	if (!child)
		return true;
	sos_hunt_remember(child->pid, &child->kin);
	pid_t to = scope == SOS_SCOPE_PROCESS ? child->pid : -child->pid;
	if (scope == SOS_SCOPE_FOREGROUND && sos_terminal_foreground(child->terminal.fd) > 1)
		to = -sos_terminal_foreground(child->terminal.fd);
	/* The shell itself is in the foreground: a kill is for what it runs, not for the session. */
	bool spared = scope == SOS_SCOPE_FOREGROUND && number == SIGKILL && to == -child->pid;
	int e = spared || kill(to, (int)number) == 0 ? 0 : errno;
	/* One that has just been forked does not lead its group yet. */
	if (e == ESRCH && to == -child->pid)
		e = kill(child->pid, (int)number) < 0 ? errno : 0;
	if (e)
		sos_control_error(frame->id, e, "signal");
	else
		sos_control_ok(frame->id);
	return true;
}

static uint64_t since_put(const struct sos_child *child)
{
	return child->put_at ? (uint64_t)(sos_clock_ns() - child->put_at) : 0;
}

static bool on_reap(const struct sos_frame *frame, struct sos_frame_reader *r)
{
	uint32_t id = sos_frame_read_u32(r);
	uint64_t elapsed = sos_frame_read_u64(r);
	uint32_t last = sos_frame_read_u32(r);
	if (!sos_frame_read_done(r))
		return false;
	struct sos_child *child = living(frame->id, id);
	if (child)
		sos_control_ok_u32(frame->id, sos_hunt_command(child->pid, elapsed ? elapsed : since_put(child),
							       (pid_t)last, &child->kin));
	return true;
}

static bool on_renew(const struct sos_frame *frame, struct sos_frame_reader *r)
{
	uint64_t lifetime = sos_frame_read_u64(r);
	struct sos_frame_string record = sos_frame_read_bytes(r);
	if (!sos_frame_read_done(r) || record.length > SOS_FRAME_RECORD_MAX)
		return false;
	if (lifetime)
		sos_clocks_lifetime(lifetime);
	if (record.length)
		sos_setup_remember(record);
	sos_control_ok(frame->id);
	return true;
}

static bool on_busy(struct sos_frame_reader *r)
{
	uint32_t busy = sos_frame_read_u32(r);
	if (!sos_frame_read_done(r) || busy > 1)
		return false;
	sos_clocks_busy(busy);
	return true;
}

static bool on_resume(const struct sos_frame *frame, struct sos_frame_reader *r)
{
	uint32_t flags = sos_frame_read_u32(r);
	if (!sos_frame_read_done(r) || flags & ~(SOS_RESUME_HAS_FDS | SOS_RESUME_DROPPED))
		return false;
	sos_resume_start(frame->id, flags);
	return true;
}

static bool on_forget(const struct sos_frame *frame, struct sos_frame_reader *r)
{
	uint32_t id = sos_frame_read_u32(r);
	if (!sos_frame_read_done(r))
		return false;
	struct sos_child *child = sos_child_find(id);
	if (child)
		sos_child_forget(child);
	sos_file_forget(id);
	if (frame->id)
		sos_control_ok(frame->id);
	return true;
}

bool sos_request(const struct sos_frame *frame, const int *fds)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	if (frame->fds && frame->type != SOS_FRAME_SPAWN)
		return false;
	switch (frame->type) {
	case SOS_FRAME_SETUP:
		return sos_setup(frame);
	case SOS_FRAME_SPAWN:
		return sos_spawn(frame, fds);
	case SOS_FRAME_SIGNAL:
		return on_signal(frame, &r);
	case SOS_FRAME_REAP:
		return on_reap(frame, &r);
	case SOS_FRAME_RENEW:
		return on_renew(frame, &r);
	case SOS_FRAME_HANDOVER:
		return sos_setup_hand_over(frame);
	case SOS_FRAME_BUSY:
		return on_busy(&r);
	case SOS_FRAME_KEEPALIVE:
		return !frame->length;
	case SOS_FRAME_RESUME:
		return on_resume(frame, &r);
	case SOS_FRAME_FORGET:
		return on_forget(frame, &r);
	case SOS_FRAME_DATA:
		return sos_relay_data(frame);
	case SOS_FRAME_CREDIT:
		return sos_relay_credit(frame);
	case SOS_FRAME_PUT:
		return sos_file_put(frame);
	default:
		return false;
	}
}
