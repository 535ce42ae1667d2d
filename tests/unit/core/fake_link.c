/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/link.h"
#include "core/loop.h"
#include "core/result.h"
#include "core/session.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

struct sos_link {
	struct sos_link_options options;
	struct sos_loop *loop;
	struct sos_timer timer;
	int ended_fd; /* readable once it ended */
	int code;
	bool attached, told;
	char reason[128];
};

struct sos_session {
	struct sos_link *link;
	enum sos_session_end end;
	uint64_t sequence;
};

/* ---- fake.links ---- */

static void tell_lost(struct sos_timer *timer)
{
	struct sos_link *link = sos_list_entry(timer, struct sos_link, timer);
	link->options.lost(link->options.data, link->code, link->reason);
}

int sos_link_new(struct sos_loop *loop, const struct sos_link_options *options, struct sos_link **link,
		 struct sos_error *error)
{
	bool effect;
	int r = fake_hang(FAKE_LINK, SOS_CLOCK_NEVER, -1, -1, error);
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	if ((r = fake_failure(FAKE_LINK, &effect, error)))
		return r;
	struct sos_link *l = calloc(1, sizeof(*l));
	l->options = *options;
	l->loop = loop;
	l->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sos_timer_init(&l->timer, tell_lost);
	fake.links[fake.link_count++] = l;
	*link = l;
	return 0;
}

void sos_link_free(struct sos_link *link)
{
	if (!link)
		return;
	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < fake.link_count; i++)
		if (fake.links[i] == link) {
			fake.links[i] = fake.links[--fake.link_count];
			break;
		}
	pthread_mutex_unlock(&fake.lock);
	sos_timer_cancel(link->loop, &link->timer);
	close(link->ended_fd);
	free(link);
}

int sos_link_attach(struct sos_link *link, struct sos_engine_stream *stream, bool socket_too, struct sos_error *error)
{
	(void)error;
	free(stream);
	link->attached = !socket_too;
	return 0;
}

void sos_link_set_pid(struct sos_link *link, pid_t pid)
{
	(void)link;
	(void)pid;
}

int sos_link_wait(struct sos_link *link, int64_t deadline, int cancel_fd, struct sos_error *error)
{
	bool effect;
	int r = fake_hang(FAKE_WAIT, deadline, cancel_fd, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	if (fake.no_socket && !link->attached)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "no nonce");
	return fake_failure(FAKE_WAIT, &effect, error);
}

int sos_link_set_up(struct sos_link *link, const struct sos_link_setup *setup, int64_t deadline, enum sos_shell *shell,
		    struct sos_error *error)
{
	bool effect;
	(void)setup;
	*shell = SOS_SHELL_BASH;
	int r = fake_hang(FAKE_SET_UP, deadline, -1, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	return fake_failure(FAKE_SET_UP, &effect, error);
}

int sos_link_hand_over(struct sos_link *link, const struct sos_link_handover *handover, int64_t deadline,
		       struct sos_error *error)
{
	bool effect;
	int r = fake_hang(FAKE_HAND_OVER, deadline, -1, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	snprintf(fake.handed_record, sizeof(fake.handed_record), "%.*s", (int)handover->record_length,
		 (const char *)handover->record);
	return fake_failure(FAKE_HAND_OVER, &effect, error);
}

void sos_link_end(struct sos_link *link, int code, const char *reason)
{
	SOS_LOCKED(&fake.lock);
	if (!link->code) {
		link->code = code;
		snprintf(link->reason, sizeof(link->reason), "%s", reason);
	}
	eventfd_write(link->ended_fd, 1);
}

bool sos_link_ended(struct sos_link *link)
{
	SOS_LOCKED(&fake.lock);
	return link->code != 0;
}

void fake_lose(int code, const char *reason)
{
	SOS_LOCKED(&fake.lock);
	for (int i = 0; i < fake.link_count; i++) {
		struct sos_link *link = fake.links[i];
		if (link->code)
			continue;
		link->code = code;
		snprintf(link->reason, sizeof(link->reason), "%s", reason);
		eventfd_write(link->ended_fd, 1);
		sos_timer_set(link->loop, &link->timer, 0);
	}
}

/* ---- sessions ---- */

int sos_session_open(struct sos_link *link, enum sos_shell shell, enum sos_streams streams, int64_t deadline,
		     struct sos_session **session, struct sos_error *error)
{
	bool effect;
	(void)shell;
	(void)streams;
	int r = fake_hang(FAKE_OPEN, deadline, -1, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	if ((r = fake_failure(FAKE_OPEN, &effect, error)))
		return r;
	*session = calloc(1, sizeof(**session));
	(*session)->link = link;
	fake.session_count++;
	return 0;
}

void sos_session_free(struct sos_session *session)
{
	if (!session)
		return;
	SOS_LOCKED(&fake.lock);
	fake.session_count--;
	free(session);
}

/* "exit N" ends the session, "fail N" gives that code; anything else is its own output. */
int sos_session_exec(struct sos_session *session, const struct sos_command *command, int cancel_fd,
		     struct sos_result **result, struct sos_error *error)
{
	int r = fake_hang(FAKE_EXEC, SOS_CLOCK_NEVER, cancel_fd, session->link->ended_fd, error);
	if (r && r != SOS_ERROR_CANCELLED)
		return r == SOS_ERROR_ENDED ? sos_error_set(error, session->link->code, "%s", session->link->reason)
					    : r;
	struct sos_result *got = sos_result_new(command->exec_id, false, false);
	got->timed_out = r == SOS_ERROR_CANCELLED;
	sos_buffer_append(&got->output, command->text, command->text_length);
	SOS_LOCKED(&fake.lock);
	got->sequence = ++session->sequence;
	got->exited = !strncmp(command->text, "exit ", 5);
	if (got->exited)
		session->end = SOS_SESSION_EXITED;
	if (got->exited || !strncmp(command->text, "fail ", 5))
		got->exit_code = atoi(command->text + 5);
	*result = got;
	return 0;
}

int sos_session_settle(struct sos_session *session, int64_t timeout_ms, int cancel_fd, struct sos_error *error)
{
	(void)session;
	(void)timeout_ms;
	(void)cancel_fd;
	(void)error;
	return 0;
}

void sos_session_begin(struct sos_session *session)
{
	SOS_LOCKED(&fake.lock);
	session->sequence = 0;
}

int sos_session_hand_over(struct sos_session *session, int64_t waited_s, const char *const *added,
			  struct sos_error *error)
{
	(void)session;
	(void)waited_s;
	(void)error;
	SOS_LOCKED(&fake.lock);
	fake.exported = 0;
	for (; added && *added; added++)
		fake.exported++;
	return 0;
}

enum sos_session_end sos_session_state(struct sos_session *session)
{
	SOS_LOCKED(&fake.lock);
	return session->end;
}

int sos_standalone_exec(struct sos_link *link, enum sos_shell shell, const struct sos_command *command,
			int cancel_fd, struct sos_result **result, struct sos_error *error)
{
	(void)link;
	(void)shell;
	(void)cancel_fd;
	(void)error;
	*result = sos_result_new(command->exec_id, true, false);
	return 0;
}

const void *sos_init_image(size_t *length)
{
	*length = 4;
	return "init";
}

void sos_init_hash(char hex[17])
{
	snprintf(hex, 17, "0123456789abcdef");
}
