/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One command in a session, from its line to its record, on the caller's
 * thread, which has the turn.
 *
 * A command that ends within FIRST_LOOK_NS costs one write and one poll. Then
 * its output is read as it comes, and the command pipe is watched: once the
 * line is consumed a blank is sent after it, and when that is consumed too the
 * shell is asking for its next line. If no record came by then, something
 * (^C, ${x?}, set -u) took the shell back to its prompt: it is asked to report
 * again, then repaired, then given up. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/capture.h"
#include "core/link_internal.h"
#include "core/session_internal.h"

#define FIRST_LOOK_NS 1000000
#define JUNK_ONCE 4096
#define JUNK_MAX (1u << 20) /* in the status pipe during one command: no accident any more */
#define KEEP_TEXT (1u << 20)
#define MS 1000000LL

enum asked { ASKED_LINE, ASKED_BLANK }; /* what the shell has yet to consume */

enum stage { RUNNING, INTERRUPTED, KILLED, REAPED, SHELL_KILLED };

struct run {
	struct sos_session *session;
	struct sos_capture capture;
	struct sos_error *error;
	int cancel_fd;
	bool capturing;       /* false while a session is opened: there is no result */
	bool listening;       /* past the first look */
	bool done;            /* the record came, or the shell ended */
	bool paused;
	int64_t start, deadline;
	enum stage stage;
	enum asked asked;
	int reports;          /* lines sent after the first one: again, repair */
	enum sos_plain plain; /* typed as it stands, if not NO */
	bool probing;         /* the shell lists what makes it unclean, after its record */
	bool recorded;        /* the record came */
	size_t junk;          /* bytes since then that were no record */
	uint32_t last_before; /* $! before the command */
	int shell_status;
	bool shell_ended;
	bool timed_out;
	bool typed;           /* the command's line is on its way */
	bool unheard;         /* the shell ended and had not read it */
};

/* ---- what comes from the shell ---- */

/* A record of this command. True: it was the last one. */
static bool take_record(struct run *run, const struct sos_record *record)
{
	struct sos_session *s = run->session;
	switch (record->kind) {
	case SOS_RECORD_STATUS:
		s->last = *record;
		run->recorded = true;
		run->junk = 0;
		return !run->probing;
	case SOS_RECORD_AGAIN:
		/* What took the shell back to its prompt left a status; 0 is of a line that was taken from the shell. */
		if (record->code == 0)
			return false;
		__attribute__((fallthrough));
	case SOS_RECORD_PLAIN:
		s->last.of = record->of;
		s->last.code = record->code;
		return true;
	case SOS_RECORD_PROBE:
		break;
	}
	if (run->junk == 0 && run->reports == 0 && strcmp(s->last.flags, s->flags) == 0) {
		s->clean = SOS_SHELL_CLEAN;
		s->probes_in_vain = 0;
	}
	return run->recorded;
}

/* Go through what the status pipe had. True: it had the last record of this command. */
static bool find_record(struct run *run)
{
	struct sos_session *s = run->session;
	bool last = false;
	while (s->status_length && !last) {
		struct sos_record record;
		bool found;
		size_t used = sos_record_parse(s->status, s->status_length, &record, &found);
		if (!used)
			break;
		s->status_length -= used;
		for (size_t i = 0; i < s->status_length; i++)
			s->status[i] = s->status[used + i];
		run->junk += found ? record.junk : used;
		if (found && record.of.sequence == s->run.sequence && record.of.token == s->run.token)
			last = take_record(run, &record);
	}
	return last;
}

/* At most JUNK_ONCE bytes a time, so that a tenant that floods the status pipe holds up no deadline. */
static bool read_status(struct run *run)
{
	struct sos_session *session = run->session;
	for (size_t taken = 0; taken < JUNK_ONCE;) {
		if (session->status_length == sizeof(session->status))
			session->status_length = 0;
		size_t room = sizeof(session->status) - session->status_length;
		ssize_t n = read(session->status_fd, session->status + session->status_length, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		taken += (size_t)n;
		session->junk += (uint64_t)n;
		session->status_length += (size_t)n;
		if (find_record(run))
			return true;
		if ((size_t)n < room)
			return false;
	}
	return false;
}

static int read_output(struct run *run)
{
	struct sos_session *s = run->session;
	if (!run->capturing)
		return 0;
	if (sos_capture_pipe(&run->capture, SOS_CAPTURE_OUT, s->out_fd) < 0 ||
	    (s->err_fd >= 0 && sos_capture_pipe(&run->capture, SOS_CAPTURE_ERR, s->err_fd) < 0))
		return sos_error_nomem(run->error);
	return 0;
}

/* What sos-init read for us while the connection was broken comes before what is in the pipes. */
static int take_drained(struct run *run)
{
	static const uint32_t targets[2] = { SOS_FD_OUT, SOS_FD_ERR };
	struct sos_session *s = run->session;
	for (int i = 0; i < 2 && run->capturing; i++) {
		SOS_AUTO_BUFFER struct sos_buffer bytes = SOS_BUFFER_INIT;
		uint64_t dropped;
		enum sos_capture_stream stream = i ? SOS_CAPTURE_ERR : SOS_CAPTURE_OUT;
		if (sos_child_take_drained(&s->child, targets[i], &bytes, &dropped) < 0 ||
		    sos_capture_bytes(&run->capture, stream, bytes.data ? bytes.data : "", bytes.length) < 0)
			return sos_error_nomem(run->error);
		sos_capture_lost(&run->capture, stream, dropped);
	}
	SOS_AUTO_BUFFER struct sos_buffer status = SOS_BUFFER_INIT;
	uint64_t lost;
	if (sos_child_take_drained(&s->child, SOS_FD_STATUS, &status, &lost) < 0)
		return sos_error_nomem(run->error);
	for (size_t i = 0; i < status.length && !run->done; i++) {
		if (s->status_length == sizeof(s->status))
			s->status_length = 0;
		s->status[s->status_length++] = status.data[i];
		run->done = status.data[i] == 0 && find_record(run);
	}
	return 0;
}

/* The one-page command pipe is writable when all of it was read. */
static bool line_consumed(const struct sos_session *session)
{
	struct pollfd p = { session->command_fd, POLLOUT, 0 };
	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* The child's eventfd: the link ended, broke or came back, or the shell ended. */
static int look_at_child(struct run *run)
{
	struct sos_child_state state = sos_child_look(&run->session->child);
	if (state.ended)
		return sos_child_ended(&run->session->child, run->error);
	run->paused = state.paused;
	if (state.drained) {
		int r = take_drained(run);
		if (r < 0)
			return r;
	}
	if (state.exited && !state.paused && !run->done) {
		run->shell_ended = !read_status(run);
		run->shell_status = state.status;
		run->unheard = !run->typed || (run->asked == ASKED_LINE && !line_consumed(run->session));
		run->done = true;
	}
	return 0;
}

/* ---- time limits ---- */

static int64_t stage_deadline(const struct run *run)
{
	switch (run->stage) {
	case RUNNING:
		return run->deadline;
	case INTERRUPTED:
		return run->deadline + 300 * MS;
	case KILLED:
		return run->deadline + 450 * MS;
	case REAPED:
		return run->deadline + 900 * MS;
	case SHELL_KILLED:
		break;
	}
	return run->deadline + 3000 * MS;
}

static int next_stage(struct run *run)
{
	struct sos_child *child = &run->session->child;
	switch (run->stage) {
	case RUNNING:
		run->stage = INTERRUPTED;
		run->timed_out = true;
		return sos_child_signal(child, SIGINT, SOS_SCOPE_FOREGROUND, run->error);
	case INTERRUPTED: {
		run->stage = KILLED;
		int r = sos_child_signal(child, SIGKILL, SOS_SCOPE_FOREGROUND, run->error);
		/* Or the rest of the list would go on. */
		return r < 0 ? r : sos_child_signal(child, SIGINT, SOS_SCOPE_PROCESS, run->error);
	}
	case KILLED:
		run->stage = REAPED;
		return sos_child_reap(child, sos_clock_ns() - run->start, run->last_before, run->error);
	case REAPED:
		run->stage = SHELL_KILLED;
		return sos_child_signal(child, SIGKILL, SOS_SCOPE_PROCESS, run->error);
	case SHELL_KILLED:
		break;
	}
	/* A tracer may withhold its end from sos-init. For us it is over. */
	run->done = run->shell_ended = true;
	run->shell_status = SIGKILL;
	return 0;
}

/* ---- the wait ---- */

/* The shell asks for its next line although no record came. 0: asked again; 1: there is nothing left to try. */
static int ask_again(struct run *run)
{
	char line[SOS_DRIVER_LINE];
	struct sos_session *s = run->session;
	size_t length = 0;
	s->clean = SOS_SHELL_UNKNOWN;
	if (run->reports == 0)
		length = run->plain ? sos_driver_type_again(line, s->run) : sos_driver_again(line, &s->driver, s->run);
	else if (run->reports == 1 && !run->plain)
		length = sos_driver_repair(line, &s->driver, s->run);
	run->reports++;
	run->asked = ASKED_LINE;
	if (!length || !run->capturing)
		return 1;
	return sos_session_type(s, line, length, run->error);
}

/* The command pipe is empty. */
static int consumed(struct run *run)
{
	if (run->asked == ASKED_LINE) {
		run->asked = ASKED_BLANK;
		return sos_session_type(run->session, " ", 1, run->error);
	}
	/* A probe that came to nothing costs nobody a command. */
	run->done = read_status(run) || run->recorded;
	return run->done ? 0 : ask_again(run);
}

static int give_up(struct run *run)
{
	run->stage = SHELL_KILLED;
	run->deadline = sos_clock_ns();
	return sos_child_signal(&run->session->child, SIGKILL, SOS_SCOPE_PROCESS, run->error);
}

enum { P_STATUS, P_WAKE, P_CANCEL, P_COMMAND, P_OUT, P_ERR, P_COUNT };

static int wait_some(struct run *run, struct pollfd polls[P_COUNT])
{
	struct sos_session *s = run->session;
	bool read_it = !run->paused;
	polls[P_STATUS] = (struct pollfd){ read_it ? s->status_fd : -1, POLLIN, 0 };
	polls[P_WAKE] = (struct pollfd){ s->child.wake_fd, POLLIN, 0 };
	polls[P_CANCEL] = (struct pollfd){ run->stage == RUNNING ? run->cancel_fd : -1, POLLIN, 0 };
	if (!run->listening) {
		struct timespec first = { 0, FIRST_LOOK_NS };
		int n = ppoll(polls, 3, &first, NULL);
		run->listening = n == 0;
		for (int i = P_COMMAND; i < P_COUNT; i++)
			polls[i].revents = 0;
		return n;
	}
	bool ask = read_it && run->stage != SHELL_KILLED;
	polls[P_COMMAND] = (struct pollfd){ ask ? s->command_fd : -1, POLLOUT, 0 };
	polls[P_OUT] = (struct pollfd){ read_it && run->capturing ? s->out_fd : -1, POLLIN, 0 };
	polls[P_ERR] = (struct pollfd){ read_it && run->capturing ? s->err_fd : -1, POLLIN, 0 };
	return poll(polls, P_COUNT, sos_clock_poll_ms(stage_deadline(run)));
}

static int step(struct run *run)
{
	struct pollfd polls[P_COUNT];
	int r = 0;
	if (wait_some(run, polls) < 0 && errno != EINTR)
		return sos_error_errno(run->error, SOS_ERROR_SYSTEM, errno, "cannot wait for the command");
	if ((polls[P_STATUS].revents & POLLIN) && read_status(run))
		run->done = true;
	if (!run->done && run->session->junk > JUNK_MAX && run->stage != SHELL_KILLED)
		return give_up(run);
	if (!run->done && polls[P_WAKE].revents) {
		sos_child_quiet(&run->session->child);
		r = look_at_child(run);
	}
	if (r == 0 && !run->done && (polls[P_OUT].revents || polls[P_ERR].revents))
		r = read_output(run);
	if (r == 0 && !run->done && (polls[P_COMMAND].revents & (POLLOUT | POLLERR)))
		r = consumed(run);
	if (r < 0 || run->done)
		return r;
	if (r == 1)
		return run->capturing ? give_up(run) : 1;
	if (polls[P_CANCEL].revents && run->stage == RUNNING)
		run->deadline = sos_clock_ns();
	if (stage_deadline(run) <= sos_clock_ns()) {
		if (!run->capturing)
			return sos_error_set(run->error, SOS_ERROR_DEADLINE, "the shell did not answer in time");
		return next_stage(run);
	}
	return 0;
}

int sos_session_await(struct sos_session *session, int64_t deadline, struct sos_error *error)
{
	struct run run = { .session = session, .error = error, .cancel_fd = -1, .deadline = deadline };
	while (!run.done) {
		int r = step(&run);
		if (r)
			return r < 0 ? r : 0;
	}
	if (run.shell_ended)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "the image's shell ended at once");
	return 1;
}

/* Into the text file, behind the options that were taken off. */
static int put_text(struct sos_session *session, const struct sos_command *command, struct sos_error *error)
{
	char line[SOS_DRIVER_LINE];
	size_t prefix = sos_driver_prefix(line, &session->driver, &session->last);
	if (!prefix)
		return sos_child_put(&session->child, SOS_FD_TEXT, session->text_fd, command->text,
				     command->text_length, error);
	SOS_AUTO_BUFFER struct sos_buffer text = SOS_BUFFER_INIT;
	if (sos_buffer_append(&text, line, prefix) < 0 ||
	    sos_buffer_append(&text, command->text, command->text_length) < 0)
		return sos_error_nomem(error);
	return sos_child_put(&session->child, SOS_FD_TEXT, session->text_fd, text.data, text.length, error);
}

/* How a text that lies in the file is run; what is known of the shell then. */
static enum sos_way choose_way(struct run *run, const struct sos_command *command, bool plain)
{
	struct sos_session *s = run->session;
	bool known = s->clean == SOS_SHELL_UNCLEAN;
	if (!plain && s->probes_in_vain < SOS_SESSION_PROBES)
		s->clean = SOS_SHELL_UNKNOWN;
	if (sos_driver_careful(command->text, command->text_length, &s->last))
		return SOS_WAY_CAREFUL;
	if (!plain || known)
		return SOS_WAY_USUAL;
	/* Until the answer says otherwise. */
	s->clean = SOS_SHELL_UNCLEAN;
	s->probes_in_vain++;
	run->probing = true;
	return SOS_WAY_PROBE;
}

static int send_command(struct run *run, const struct sos_command *command, struct sos_error *error)
{
	char line[SOS_DRIVER_LINE];
	struct sos_session *s = run->session;
	size_t length = command->text_length;
	enum sos_plain plain =
		s->driver.dialect == SOS_DIALECT_BASH ? sos_plain(command->text, &length) : SOS_PLAIN_NO;
	if (plain && s->clean == SOS_SHELL_CLEAN) {
		run->plain = plain;
		length = sos_driver_type(line, &s->driver, sos_session_next(s), command->text, length, plain);
		return sos_session_type(s, line, length, error);
	}
	int r = put_text(s, command, error);
	if (r < 0)
		return r;
	enum sos_way way = choose_way(run, command, plain);
	length = sos_driver_run(line, &s->driver, sos_session_next(s), &s->last, way);
	return sos_session_type(s, line, length, error);
}

/* After a time limit: what the command left behind dies too, and the shell says so ("Killed") to nobody: an empty line
 * takes it to its prompt, where it speaks of jobs that ended. */
static int clear_up(struct run *run)
{
	struct sos_session *s = run->session;
	int r = sos_child_reap(&s->child, sos_clock_ns() - run->start, run->last_before, run->error);
	return r < 0 ? r : sos_session_type(s, "\n", 1, run->error);
}

/* The result's facts, once the record is there or the shell is gone. */
static void conclude(struct run *run, struct sos_result *result)
{
	struct sos_session *s = run->session;
	result->sequence = s->run.sequence - s->before;
	result->timed_out = run->timed_out;
	result->exit_code = s->last.code;
	if (!run->shell_ended) {
		/* A restricted shell opens no file of ours: it could run nothing more. */
		if (strchr(s->last.flags, 'r')) {
			sos_child_signal(&s->child, SIGKILL, SOS_SCOPE_PROCESS, NULL);
			result->session_lost = true;
			SOS_LOCKED(&s->lock);
			s->end = SOS_SESSION_LOST;
		}
		return;
	}
	result->exit_code = WIFEXITED(run->shell_status) ? WEXITSTATUS(run->shell_status) :
							   128 + WTERMSIG(run->shell_status);
	/* A shell that ended between commands with the status that it had was at the end of its input: its command pipe
	 * was taken from it (`exec 244<&-`). The command never ran, and that is no exit; that of a trap is. */
	bool starved = run->unheard && WIFEXITED(run->shell_status) && result->exit_code == s->last.code;
	result->session_lost = run->stage == SHELL_KILLED || starved;
	result->exited = !result->session_lost;
	SOS_LOCKED(&s->lock);
	s->end = result->exited ? SOS_SESSION_EXITED : SOS_SESSION_LOST;
}

int sos_session_run(struct sos_session *session, const struct sos_command *command, int cancel_fd,
		    struct sos_result *result, struct sos_error *error)
{
	struct run run = {
		.session = session,
		.capture = { result, (uint64_t)command->max_output_bytes },
		.error = error,
		.cancel_fd = cancel_fd,
		.capturing = true,
		.start = sos_clock_ns(),
		.last_before = session->last.last,
	};
	run.deadline = command->timeout_ms > 0 && command->timeout_ms < SOS_CLOCK_NEVER / 2 / MS ?
			       run.start + command->timeout_ms * MS :
			       SOS_CLOCK_NEVER;
	session->junk = 0;
	session->typed = false;
	int r = look_at_child(&run);
	if (r == 0 && !run.done)
		r = send_command(&run, command, error);
	run.typed = r == 0 && !run.done;
	while (r == 0 && !run.done)
		r = step(&run);
	if (r == 0)
		r = read_output(&run);
	if (r == 0 && run.stage != RUNNING && !run.shell_ended)
		r = clear_up(&run);
	if (r < 0)
		return r;
	conclude(&run, result);
	result->duration_ns = sos_clock_ns() - run.start;
	/* A large text would keep its memory until the next command. */
	if (command->text_length > KEEP_TEXT)
		sos_child_put(&session->child, SOS_FD_TEXT, session->text_fd, "", 0, NULL);
	return 0;
}
