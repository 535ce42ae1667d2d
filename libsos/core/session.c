/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A session: the shell's descriptors, whose turn it is, and what background
 * jobs write while nobody runs a command. See session_internal.h for the lock. */

#include "core/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/cancel.h"
#include "core/link_internal.h"
#include "core/session_internal.h"
#include "core/wait.h"

#define OUTPUT_PIPE (256 * 1024)
#define BACKGROUND_MAX (64u * 1024)
#define FLOOD_PAUSE_MS 5
#define REST_MS 20 /* without a command, before idle output is listened to: commands in a row pay nothing for that */

/* ---- output between commands ---- */

/* With the lock or the turn: move what is in the pipe now into the background buffer. Bytes moved. */
static size_t take_background(struct sos_session *session, int fd)
{
	int available = 0;
	size_t total = 0;
	char bytes[8192];
	if (fd < 0 || ioctl(fd, FIONREAD, &available) < 0)
		return 0;
	while (total < (size_t)available) {
		size_t want = (size_t)available - total;
		ssize_t n = read(fd, bytes, want < sizeof(bytes) ? want : sizeof(bytes));
		if (n <= 0)
			break;
		total += (size_t)n;
		if (sos_buffer_append(&session->background, bytes, (size_t)n) < 0)
			session->background_dropped += (uint64_t)n;
		if (session->background.length > BACKGROUND_MAX) {
			size_t excess = session->background.length - BACKGROUND_MAX;
			session->background_dropped += excess;
			sos_buffer_consume(&session->background, excess);
		}
	}
	return total;
}

static void listen_idle(struct sos_session *session, bool on)
{
	if (session->listening == on)
		return;
	session->listening = on;
	sos_loop_modify(session->loop, &session->out_watch, on ? EPOLLIN : 0);
	if (session->err_fd >= 0)
		sos_loop_modify(session->loop, &session->err_watch, on ? EPOLLIN : 0);
}

/* Listen in a while, if nobody runs a command until then. */
static void rest(struct sos_session *session, int64_t ms)
{
	session->resting = true;
	session->rested = session->run.sequence;
	sos_timer_set(session->loop, &session->rest, sos_clock_deadline(ms));
}

static void idle_output(struct sos_session *session, struct sos_watch *watch, uint32_t events)
{
	SOS_LOCKED(&session->lock);
	if (session->busy)
		return;
	size_t moved = sos_child_look(&session->child).paused ? 0 : take_background(session, watch->fd);
	if (!moved && (events & (EPOLLHUP | EPOLLERR))) {
		sos_loop_remove(session->loop, watch);
	} else if (moved >= 65536 || !moved) {
		/* A job that writes for ever must not cost us a core; it waits for its reader meanwhile. */
		listen_idle(session, false);
		rest(session, FLOOD_PAUSE_MS);
	}
}

static void out_ready(struct sos_watch *watch, uint32_t events)
{
	idle_output(sos_list_entry(watch, struct sos_session, out_watch), watch, events);
}

static void err_ready(struct sos_watch *watch, uint32_t events)
{
	idle_output(sos_list_entry(watch, struct sos_session, err_watch), watch, events);
}

static void rested(struct sos_timer *timer)
{
	struct sos_session *session = sos_list_entry(timer, struct sos_session, rest);
	SOS_LOCKED(&session->lock);
	session->resting = false;
	if (session->busy)
		return; /* it rests again when its turn is over */
	if (session->rested == session->run.sequence)
		listen_idle(session, true);
	else
		rest(session, REST_MS);
}

/* ---- turns ---- */

struct turn {
	struct sos_list node;
	struct sos_condition come;
	bool mine;
};

/* Of a session that is busy: 0, or why the turn did not come. */
static int await_turn_locked(struct sos_session *session, struct turn *turn, int64_t timeout_ms, int cancel_fd)
{
	int64_t deadline = sos_clock_deadline(timeout_ms);
	int r = timeout_ms < 0 ? SOS_ERROR_DEADLINE : 0;
	sos_condition_init(&turn->come);
	sos_list_append(&session->waiting, &turn->node);
	while (!turn->mine && !r)
		r = sos_condition_wait(&turn->come, &session->lock, deadline, cancel_fd);
	if (!turn->mine)
		sos_list_remove(&turn->node);
	sos_condition_clear(&turn->come);
	return turn->mine ? 0 : r;
}

static void pass_turn_locked(struct sos_session *session)
{
	if (!sos_list_empty(&session->waiting)) {
		struct turn *next = sos_list_entry(session->waiting.next, struct turn, node);
		sos_list_remove(&next->node);
		next->mine = true; /* busy stays set: it is handed over */
		sos_condition_notify(&next->come);
		return;
	}
	session->busy = false;
	if (session->end == SOS_SESSION_ALIVE && !session->resting)
		rest(session, REST_MS);
}

static void pass_turn(struct sos_session *session)
{
	SOS_LOCKED(&session->lock);
	pass_turn_locked(session);
}

static int take_turn(struct sos_session *session, int64_t timeout_ms, int cancel_fd, struct sos_error *error)
{
	SOS_LOCKED(&session->lock);
	if (!session->busy) {
		session->busy = true;
		listen_idle(session, false);
		return 0;
	}
	struct turn turn = { .mine = false };
	int r = await_turn_locked(session, &turn, timeout_ms, cancel_fd);
	if (r == 0 && sos_cancel_fd_fired(cancel_fd)) {
		/* Both at once: what was cancelled before it began is not run. */
		pass_turn_locked(session);
		r = SOS_ERROR_CANCELLED;
	}
	if (r == SOS_ERROR_DEADLINE)
		return sos_error_set(error, r, "the session was busy for all of the time that the command may wait");
	if (r == SOS_ERROR_CANCELLED)
		return sos_error_set(error, r, "cancelled while it waited for the session; it was not run");
	return r ? sos_error_set(error, r, "no descriptor to wait for the session by") : 0;
}

/* With the turn: a command failed on our side (no memory, say) and the shell may be anywhere in it; not where it was
 * told nothing yet, as when the disk had no room for the text. */
static void give_up(struct sos_session *session)
{
	if (session->end != SOS_SESSION_ALIVE || (!session->typed && !sos_link_ended(session->link)))
		return;
	if (!sos_link_ended(session->link))
		sos_child_signal(&session->child, SIGKILL, SOS_SCOPE_PROCESS, NULL);
	SOS_LOCKED(&session->lock);
	session->end = SOS_SESSION_LOST;
}

int sos_session_exec(struct sos_session *session, const struct sos_command *command, int cancel_fd,
		     struct sos_result **out, struct sos_error *error)
{
	struct sos_result *result = sos_result_new(command->exec_id, false, session->separate);
	if (!result)
		return sos_error_nomem(error);
	int r = take_turn(session, command->queue_timeout_ms, cancel_fd, error);
	if (r < 0) {
		sos_result_unref(result);
		return r;
	}
	if (session->end != SOS_SESSION_ALIVE)
		r = sos_error_set(error, SOS_ERROR_STATE, "the session is over");
	if (r == 0) {
		take_background(session, session->out_fd);
		take_background(session, session->err_fd);
		result->background = session->background;
		result->dropped_background = session->background_dropped;
		session->background = (struct sos_buffer)SOS_BUFFER_INIT;
		session->background_dropped = 0;
		sos_child_busy(&session->child, true);
		r = sos_session_run(session, command, cancel_fd, result, error);
		sos_child_busy(&session->child, false);
	}
	if (r < 0)
		give_up(session);
	pass_turn(session);
	if (r < 0) {
		sos_result_unref(result);
		return r;
	}
	*out = result;
	return 0;
}

bool sos_session_busy(struct sos_session *session)
{
	SOS_LOCKED(&session->lock);
	return session->busy;
}

enum sos_session_end sos_session_state(struct sos_session *session)
{
	SOS_LOCKED(&session->lock);
	if (session->end == SOS_SESSION_ALIVE && !session->busy && sos_child_look(&session->child).exited)
		return SOS_SESSION_EXITED;
	return session->end;
}

/* ---- typing ---- */

#define ROOM_MS 10000
#define ROOM_LOOK_MS 100

/* By attach a line stays in the pipe until the word came that it was read: there may be no room for the next one yet.
 * 0: there is; 1: nobody is left to read it, as the wait for the record will find; -1: not in time. */
static int await_room(struct sos_session *session)
{
	int64_t deadline = sos_clock_deadline(ROOM_MS);
	struct pollfd room = { session->command_fd, POLLOUT, 0 };
	while (poll(&room, 1, ROOM_LOOK_MS) <= 0) {
		struct sos_child_state state = sos_child_look(&session->child);
		if (state.exited || state.ended)
			return 1;
		if (sos_clock_ns() >= deadline)
			return -1;
	}
	return 0;
}

int sos_session_type(struct sos_session *session, const char *line, size_t length, struct sos_error *error)
{
	ssize_t n;
	int room = 0;
	session->typed = true;
	do
		n = write(session->command_fd, line, length);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && (room = await_room(session)) == 0)));
	if (n != (ssize_t)length && room <= 0)
		return sos_error_errno(error, SOS_ERROR_LOST, n < 0 ? errno : EPIPE, "cannot type to the shell");
	return 0;
}

/* ---- life ---- */

/* A file that the shell opens by name: on the mount, where the tenant cannot take it away or put another in its place;
 * by attach there is none, and it is a descriptor of the shell. The shell's user must be able to read it. */
static int driver_file(const struct sos_session *session, const char *name, int target, char path[SOS_DRIVER_PATH],
		       const char *contents)
{
	SOS_AUTO_CLOSE int fd = -1;
	if (session->link->attach_transport) {
		snprintf(path, SOS_DRIVER_PATH, "/proc/self/fd/%d", target);
		fd = memfd_create(name, MFD_CLOEXEC);
	} else {
		char host[160];
		int n = snprintf(host, sizeof(host), "%s/%s", session->link->directory, name);
		snprintf(path, SOS_DRIVER_PATH, SOS_SOCKET_DIR "/%s", name);
		if (n > 0 && (size_t)n < sizeof(host))
			fd = open(host, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	}
	size_t length = strlen(contents);
	if (fd < 0 || fchmod(fd, 0644) < 0 || write(fd, contents, length) != (ssize_t)length)
		return -1;
	return sos_steal_fd(&fd);
}

/* Our ends into the session, the shell's into `theirs`: command, out, err, status. */
static int make_pipes(struct sos_session *session, int theirs[4])
{
	int fds[2];
	/* One page: while something that was typed is unread the pipe is full, and writable means "asks for more". */
	if (sos_child_pipe(fds, false, 4096) < 0)
		return -1;
	theirs[0] = fds[0];
	session->command_fd = fds[1];
	session->command_hold = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
	if (session->command_hold < 0)
		return -1;
	int *ours[3] = { &session->out_fd, &session->err_fd, &session->status_fd };
	for (int i = 0; i < 3; i++) {
		if (i == 1 && !session->separate)
			continue;
		if (sos_child_pipe(fds, true, i < 2 ? OUTPUT_PIPE : 0) < 0)
			return -1;
		*ours[i] = fds[0];
		theirs[i + 1] = fds[1];
	}
	return 0;
}

#define SPAWN_MS 30000

static const char *const bash_argv[] = { "bash", "--norc", "--noprofile", "--noediting", "-i", NULL };
static const char *const sh_argv[] = { "sh", "-i", NULL };

static int spawn_shell(struct sos_session *session, enum sos_shell shell, int theirs[4], int return_fd,
		       int64_t deadline, struct sos_error *error)
{
	struct sos_port ports[16] = {
		{ 0, SOS_PORT_IN, theirs[0], 0 },
		{ 1, SOS_PORT_NULL, -1, 0 },
		{ 2, SOS_PORT_NULL, -1, 0 },
		{ SOS_FD_NULL, SOS_PORT_NULL, -1, 0 },
		{ SOS_FD_OUT, SOS_PORT_OUT, theirs[1], 0 },
		{ SOS_FD_ERR, session->separate ? SOS_PORT_OUT : SOS_PORT_DUP, theirs[2], SOS_FD_OUT },
		{ SOS_FD_STATUS, SOS_PORT_OUT, theirs[3], 0 },
	};
	size_t count = 7;
	if (shell == SOS_SHELL_SH) {
		/* For a sh that knows descriptors of one digit only; another one closes them. */
		static const uint32_t low[4] = { SOS_FD_NULL, SOS_FD_OUT, SOS_FD_ERR, SOS_FD_STATUS };
		for (uint32_t i = 0; i < 4; i++)
			ports[count++] = (struct sos_port){ 3 + i, SOS_PORT_DUP, -1, low[i] };
	}
	if (session->link->attach_transport) {
		ports[count++] = (struct sos_port){ SOS_FD_RETURN, SOS_PORT_FILE, return_fd, 0 };
		ports[count++] = (struct sos_port){ SOS_FD_TEXT, SOS_PORT_FILE, session->text_fd, 0 };
	}
	int exec_errno = 0;
	int r = sos_child_spawn(session->link, &session->child, SOS_KIND_SESSION, 0,
				shell == SOS_SHELL_BASH ? bash_argv : sh_argv, ports, count, deadline, &exec_errno,
				error);
	for (int i = 0; i < 4; i++)
		theirs[i] = -1; /* taken over */
	if (r == 0 && exec_errno)
		r = sos_error_errno(error, SOS_ERROR_UNSUPPORTED, exec_errno, "cannot start the image's shell");
	return r;
}

struct sos_run_number sos_session_next(struct sos_session *session)
{
	if (session->tokens_left == 0) {
		/* Without randomness the tokens are what the last ones were, shifted: still no constant. */
		for (size_t got = 0; got < sizeof(session->tokens);) {
			ssize_t n = getrandom((char *)session->tokens + got, sizeof(session->tokens) - got, 0);
			if (n <= 0 && errno != EINTR)
				break;
			got += n > 0 ? (size_t)n : 0;
		}
		session->tokens_left = SOS_SESSION_TOKENS;
	}
	session->run.sequence++;
	session->run.token = session->tokens[--session->tokens_left] >> 5; /* within what a record may hold */
	return session->run;
}

/* The first line; a shell that does not answer it is asked in the next dialect. */
static int open_shell(struct sos_session *session, int64_t deadline, struct sos_error *error)
{
	char line[SOS_DRIVER_LINE];
	while (session->driver.dialect != SOS_DIALECT_NONE) {
		size_t length = sos_driver_open(line, &session->driver, sos_session_next(session));
		int r = sos_session_type(session, line, length, error);
		if (r == 0)
			r = sos_session_await(session, deadline, error);
		if (r < 0)
			return r;
		if (r > 0) {
			memcpy(session->flags, session->last.flags, sizeof(session->flags));
			return 0;
		}
		session->driver.dialect = sos_driver_next(session->driver.dialect);
	}
	return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "the image's shell does not answer as a POSIX shell would");
}

int sos_session_open(struct sos_link *link, enum sos_shell shell, enum sos_streams streams, int64_t deadline,
		     struct sos_session **out, struct sos_error *error)
{
	int theirs[4] = { -1, -1, -1, -1 };
	/* A sos-init or a shell that does not answer must not hold a start for all of its time. */
	if (sos_clock_deadline(SPAWN_MS) < deadline)
		deadline = sos_clock_deadline(SPAWN_MS);
	struct sos_session *session = calloc(1, sizeof(*session));
	if (!session)
		return sos_error_nomem(error);
	session->link = link;
	session->loop = link->loop;
	session->driver.dialect = sos_driver_first(shell);
	session->separate = streams == SOS_STREAMS_SEPARATE;
	session->command_fd = session->out_fd = session->err_fd = session->status_fd = session->command_hold = -1;
	pthread_mutex_init(&session->lock, NULL);
	sos_list_init(&session->waiting);
	sos_timer_init(&session->rest, rested);
	session->text_fd = driver_file(session, SOS_LINK_TEXT, SOS_FD_TEXT, session->driver.text, "");
	SOS_AUTO_CLOSE int return_fd =
		driver_file(session, SOS_LINK_RETURN, SOS_FD_RETURN, session->driver.restore, sos_driver_return);
	int r = 0;
	if (session->text_fd < 0 || return_fd < 0 || make_pipes(session, theirs) < 0)
		r = sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot make the session's pipes and files");
	if (r == 0)
		r = spawn_shell(session, shell, theirs, return_fd, deadline, error);
	for (int i = 0; i < 4; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (r == 0)
		r = open_shell(session, deadline, error);
	session->run.sequence = 0;
	session->out_watch = (struct sos_watch){ .ready = out_ready, .fd = session->out_fd };
	session->err_watch = (struct sos_watch){ .ready = err_ready, .fd = session->err_fd };
	if (r == 0 && (sos_loop_add(session->loop, &session->out_watch, EPOLLIN) < 0 ||
		       (session->separate && sos_loop_add(session->loop, &session->err_watch, EPOLLIN) < 0)))
		r = sos_error_set(error, SOS_ERROR_SYSTEM, "cannot watch the session's output");
	session->listening = true;
	if (r < 0) {
		sos_session_free(session);
		return sos_error_prefix(error, r, "open the session");
	}
	*out = session;
	return 0;
}

void sos_session_free(struct sos_session *session)
{
	if (!session)
		return;
	pthread_mutex_lock(&session->lock);
	session->busy = true; /* so that it rests no more */
	pthread_mutex_unlock(&session->lock);
	sos_loop_remove(session->loop, &session->out_watch);
	sos_loop_remove(session->loop, &session->err_watch);
	sos_timer_cancel(session->loop, &session->rest);
	sos_child_free(&session->child);
	int fds[] = { session->command_fd, session->out_fd, session->err_fd, session->status_fd, session->text_fd,
		      session->command_hold };
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	sos_buffer_free(&session->background);
	pthread_mutex_destroy(&session->lock);
	free(session);
}
