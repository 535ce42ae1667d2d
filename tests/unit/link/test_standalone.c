/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a standalone command's start and end are told, with the test as sos-init. */

#include "core/session.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "link_fixture.h"

/* A standalone command is sent off, and nobody waits for its start: its end comes by an eventfd, its refusal by ERROR. */
START_TEST(started_without_an_answer)
{
	static const char *const argv[] = { "prog", NULL };
	struct fixture f;
	struct sos_frame frame;
	uint32_t id;
	int count, notify = -1;
	open_link(&f);
	int fd = connected(&f);
	for (int refused = 0; refused < 2; refused++) {
		struct sos_child child;
		uint64_t end = SOS_NOTIFY_END(3 << 8);
		ck_assert_int_eq(sos_child_start(f.link, &child, 0, argv, NULL, 0, sos_clock_deadline(5000), NULL), 0);
		ck_assert_uint_eq(receive_keeping(fd, &id, &frame, &count, &notify), SOS_FRAME_SPAWN);
		ck_assert_int_eq(count, 1);
		if (refused)
			reply(fd, SOS_FRAME_ERROR, id, ENOENT, "no");
		else
			ck_assert_int_eq(write(notify, &end, sizeof(end)), sizeof(end));
		struct pollfd wake = { child.wake_fd, POLLIN, 0 };
		ck_assert_int_eq(poll(&wake, 1, 5000), 1);
		sos_child_quiet(&child);
		struct sos_child_state state = sos_child_look(&child);
		ck_assert_int_eq(state.refused, refused ? ENOENT : 0);
		ck_assert_int_eq(state.exited, !refused);
		ck_assert_int_eq(state.status, refused ? 0 : 3 << 8);
		sos_child_free(&child);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_FORGET);
		ck_assert_uint_eq(id, 0);
		close(notify);
	}
	close(fd);
	close_link(&f);
}
END_TEST

struct standalone_job {
	struct fixture *f;
	struct sos_result *result;
	struct sos_error error;
	int r;
};

static void *standalone_thread(void *data)
{
	struct standalone_job *job = data;
	struct sos_command command = { .text = "echo", .text_length = 4, .exec_id = "", .max_output_bytes = 100,
				       .streams = SOS_STREAMS_MERGED };
	job->r = sos_standalone_exec(job->f->link, SOS_SHELL_BASH, &command, -1, &job->result, &job->error);
	return NULL;
}

/* The connection breaks under a standalone command: was its start lost with it? Once it is back sos-init is asked. */
START_TEST(a_start_may_be_lost)
{
	struct fixture f;
	struct sos_frame frame;
	uint32_t id, child;
	int count;
	open_link(&f);
	int fd = connected(&f);
	for (int lost = 0; lost < 2; lost++) {
		struct standalone_job job = { .f = &f };
		pthread_t thread;
		pthread_create(&thread, NULL, standalone_thread, &job);
		ck_assert_uint_eq(receive(fd, &child, &frame, &count), SOS_FRAME_SPAWN);
		close(fd);
		while ((fd = dial(&f)) < 0)
			sched_yield();
		send_hello(fd, SOS_PROTOCOL_VERSION, NONCE);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_RESUME);
		reply(fd, SOS_FRAME_OK, id, 0, NULL);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_SIGNAL);
		reply(fd, lost ? SOS_FRAME_ERROR : SOS_FRAME_OK, id, lost ? ESRCH : 0, lost ? "no" : NULL);
		if (!lost)
			reply(fd, SOS_FRAME_EXITED, child, 3 << 8, NULL);
		pthread_join(thread, NULL);
		ck_assert_int_eq(job.r, lost ? SOS_ERROR_LOST : 0);
		if (!lost)
			ck_assert_int_eq(sos_result_exit_code(job.result), 3);
		sos_result_unref(job.result);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_FORGET);
	}
	close(fd);
	close_link(&f);
}
END_TEST

/* A connection that is back before anybody looked has broken all the same. */
START_TEST(a_break_is_not_overlooked)
{
	static const char *const argv[] = { "prog", NULL };
	struct fixture f;
	struct sos_frame frame;
	struct sos_child child;
	uint32_t id;
	int count;
	open_link(&f);
	int fd = connected(&f);
	ck_assert_int_eq(sos_child_start(f.link, &child, 0, argv, NULL, 0, sos_clock_deadline(5000), NULL), 0);
	ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_SPAWN);
	ck_assert_uint_eq(sos_child_look(&child).breaks, 0);
	for (unsigned breaks = 1; breaks <= 2; breaks++) {
		close(fd);
		while ((fd = dial(&f)) < 0)
			sched_yield();
		send_hello(fd, SOS_PROTOCOL_VERSION, NONCE);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_RESUME);
		reply(fd, SOS_FRAME_OK, id, 0, NULL);
		while (sos_child_look(&child).paused)
			sched_yield();
		ck_assert_uint_eq(sos_child_look(&child).breaks, breaks);
	}
	sos_child_free(&child);
	close(fd);
	close_link(&f);
}
END_TEST

UNIT_MAIN("standalone", a_break_is_not_overlooked, started_without_an_answer, a_start_may_be_lost)
