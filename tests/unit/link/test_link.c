/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A link over its socket; the test itself plays sos-init, well and badly. */

#include "core/child.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link_fixture.h"

START_TEST(comes_before_its_pid_is_known)
{
	struct fixture f;
	struct stat facts;
	open_link(&f);
	ck_assert_int_eq(stat(f.directory, &facts), 0);
	ck_assert_int_eq(facts.st_mode & 07777, 0755);
	int fd = connected(&f);
	/* Connected: nobody else may dial. */
	ck_assert_int_eq(dial(&f), -1);
	close(fd);
	close_link(&f);
}
END_TEST

START_TEST(a_foreign_pid_is_closed)
{
	struct fixture f;
	open_link(&f);
	sos_link_set_pid(f.link, getppid());
	int fd = dial(&f);
	ck_assert_int_ge(fd, 0);
	char byte;
	ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
	close(fd);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_int_eq(sos_link_wait(f.link, sos_clock_deadline(50), -1, &error), SOS_ERROR_DEADLINE);
	close_link(&f);
}
END_TEST

START_TEST(a_wait_is_cancelled)
{
	struct fixture f;
	int fds[2];
	open_link(&f);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(sos_link_wait(f.link, SOS_CLOCK_NEVER, fds[0], NULL), SOS_ERROR_CANCELLED);
	close(fds[0]);
	close(fds[1]);
	sos_link_end(f.link, SOS_ERROR_ENDED, "stopped");
	ck_assert_int_eq(sos_link_wait(f.link, SOS_CLOCK_NEVER, -1, NULL), SOS_ERROR_ENDED);
	ck_assert(sos_link_ended(f.link));
	close_link(&f);
}
END_TEST

static void expect_violation(void (*sin)(int fd))
{
	struct fixture f;
	open_link(&f);
	sos_link_set_pid(f.link, getpid());
	int fd = dial(&f);
	sin(fd);
	await_lost(&f);
	ck_assert_int_eq(f.lost_code, SOS_ERROR_LOST);
	ck_assert_ptr_nonnull(strstr(f.lost_reason, "protocol"));
	close(fd);
	close_link(&f);
}

static void wrong_nonce(int fd)
{
	send_hello(fd, SOS_PROTOCOL_VERSION, "ffffffffffffffffffffffffffffffff");
}

static void wrong_version(int fd)
{
	send_hello(fd, 99, NONCE);
}

static void cut_frame(int fd)
{
	static const uint8_t head[SOS_FRAME_HEADER] = { 200, 0, 0, 0, 1 };
	ck_assert_int_eq(send(fd, head, sizeof(head), 0), sizeof(head));
}

static void long_frame(int fd)
{
	static const uint8_t head[SOS_FRAME_HEADER] = { 255, 255, 255, 255, 1 };
	ck_assert_int_eq(send(fd, head, sizeof(head), 0), sizeof(head));
}

static void unknown_frame(int fd)
{
	reply(fd, 999, 1, 0, NULL);
}

static void too_many_descriptors(int fd)
{
	uint8_t head[SOS_FRAME_HEADER];
	char control[CMSG_SPACE(sizeof(int) * 32)] = { 0 };
	struct iovec iov = { head, sizeof(head) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	sos_frame_head(head, SOS_FRAME_OK, 0, 1, 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * 32);
	for (size_t i = 0; i < 32; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	ck_assert_int_eq(sendmsg(fd, &m, 0), sizeof(head));
}

START_TEST(violations_end_it)
{
	expect_violation(wrong_nonce);
	expect_violation(wrong_version);
	expect_violation(cut_frame);
	expect_violation(long_frame);
	expect_violation(unknown_frame);
	expect_violation(too_many_descriptors);
}
END_TEST

struct spawn_job {
	struct fixture *f;
	struct sos_child child;
	struct sos_error error;
	int result, exec_errno, out_fd;
};

static void *spawn_thread(void *data)
{
	struct spawn_job *job = data;
	static const char *const argv[] = { "prog", "arg", NULL };
	int fds[2];
	ck_assert_int_eq(sos_child_pipe(fds, true, 0), 0);
	job->out_fd = fds[0];
	struct sos_port ports[2] = { { 0, SOS_PORT_NULL, -1, 0 }, { 1, SOS_PORT_OUT, fds[1], 0 } };
	job->result = sos_child_spawn(job->f->link, &job->child, SOS_KIND_STANDALONE, 0, argv, ports, 2,
				      sos_clock_deadline(5000), &job->exec_errno, &job->error);
	return NULL;
}

START_TEST(spawn_refusal_and_end)
{
	struct fixture f;
	struct sos_frame frame;
	uint32_t id;
	int count;
	open_link(&f);
	int fd = connected(&f);
	for (int refused = 0; refused < 2; refused++) {
		pthread_t thread;
		struct spawn_job job = { .f = &f };
		pthread_create(&thread, NULL, spawn_thread, &job);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_SPAWN);
		ck_assert_int_eq(count, 1);
		ck_assert_uint_eq(frame.fds, 1);
		reply(fd, refused ? SOS_FRAME_ERROR : SOS_FRAME_OK, id, refused ? ENOENT : 42, refused ? "no" : NULL);
		pthread_join(thread, NULL);
		ck_assert_int_eq(job.result, 0);
		ck_assert_int_eq(job.exec_errno, refused ? ENOENT : 0);
		/* The container's end was closed here and by receive(): the pipe is at its end. */
		char byte;
		ck_assert_int_eq(read(job.out_fd, &byte, 1), 0);
		if (!refused) {
			uint8_t data[64];
			struct sos_frame_writer w;
			sos_frame_begin(&w, data, sizeof(data));
			sos_frame_put_u32(&w, 3 << 8);
			for (int i = 0; i < 3; i++)
				sos_frame_put_u64(&w, 0);
			size_t n = sos_frame_end(&w, SOS_FRAME_EXITED, 0, id);
			ck_assert_int_eq(send(fd, data, n, 0), (ssize_t)n);
			struct pollfd wake = { job.child.wake_fd, POLLIN, 0 };
			ck_assert_int_eq(poll(&wake, 1, 5000), 1);
			struct sos_child_state state = sos_child_look(&job.child);
			ck_assert(state.exited && WEXITSTATUS(state.status) == 3);
		}
		sos_child_free(&job.child);
		ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_FORGET);
		close(job.out_fd);
	}
	close(fd);
	close_link(&f);
}
END_TEST

/* The connection breaks under a running child: what was drained meanwhile comes back, in order, before the rest. */
START_TEST(breaks_and_comes_back)
{
	struct fixture f;
	struct sos_frame frame;
	uint32_t id, child_id;
	int count;
	pthread_t thread;
	open_link(&f);
	int fd = connected(&f);
	struct spawn_job job = { .f = &f };
	pthread_create(&thread, NULL, spawn_thread, &job);
	ck_assert_uint_eq(receive(fd, &child_id, &frame, &count), SOS_FRAME_SPAWN);
	reply(fd, SOS_FRAME_OK, child_id, 42, NULL);
	pthread_join(thread, NULL);
	close(fd);
	struct pollfd wake = { job.child.wake_fd, POLLIN, 0 };
	ck_assert_int_eq(poll(&wake, 1, 5000), 1);
	ck_assert(sos_child_look(&job.child).paused);
	sos_child_quiet(&job.child);
	while ((fd = dial(&f)) < 0)
		sched_yield(); /* the listener comes back when the break was seen */
	send_hello(fd, SOS_PROTOCOL_VERSION, NONCE);
	ck_assert_uint_eq(receive(fd, &id, &frame, &count), SOS_FRAME_RESUME);
	for (int i = 0; i < 2; i++) {
		uint8_t data[64];
		struct sos_frame_writer w;
		sos_frame_begin(&w, data, sizeof(data));
		sos_frame_put_u32(&w, 1);
		sos_frame_put_raw(&w, i ? "second" : "first ", 6);
		size_t n = sos_frame_end(&w, SOS_FRAME_DATA, 0, child_id);
		ck_assert_int_eq(send(fd, data, n, 0), (ssize_t)n);
	}
	uint8_t lost[64];
	struct sos_frame_writer l;
	sos_frame_begin(&l, lost, sizeof(lost));
	sos_frame_put_u32(&l, 1);
	sos_frame_put_u64(&l, 4711);
	size_t lost_size = sos_frame_end(&l, SOS_FRAME_DROPPED, 0, child_id);
	ck_assert_int_eq(send(fd, lost, lost_size, 0), (ssize_t)lost_size);
	reply(fd, SOS_FRAME_OK, id, 0, NULL);
	do
		ck_assert_int_eq(poll(&wake, 1, 5000), 1);
	while (sos_child_quiet(&job.child), sos_child_look(&job.child).paused);
	uint64_t dropped = 1;
	struct sos_buffer bytes = SOS_BUFFER_INIT;
	ck_assert(sos_child_look(&job.child).drained);
	ck_assert_int_eq(sos_child_take_drained(&job.child, 1, &bytes, &dropped), 0);
	ck_assert_str_eq(bytes.data, "first second");
	ck_assert_uint_eq(dropped, 4711);
	sos_buffer_free(&bytes);
	sos_child_free(&job.child);
	close(job.out_fd);
	close(fd);
	close_link(&f);
}
END_TEST

/* A real end: the process that dialled dies, and what it said last is the reason. */
START_TEST(its_end_is_seen_at_once)
{
	struct fixture f;
	open_link(&f);
	int go[2];
	ck_assert_int_eq(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		int fd = dial(&f);
		send_hello(fd, SOS_PROTOCOL_VERSION, NONCE);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		uint8_t data[64];
		struct sos_frame_writer w;
		sos_frame_begin(&w, data, sizeof(data));
		sos_frame_put_string(&w, "lifetime");
		size_t n = sos_frame_end(&w, SOS_FRAME_CLOSING, 0, 0);
		_exit(send(fd, data, n, 0) == (ssize_t)n ? 0 : 1);
	}
	sos_link_set_pid(f.link, pid);
	ck_assert_int_eq(sos_link_wait(f.link, sos_clock_deadline(5000), -1, NULL), 0);
	ck_assert_int_eq(write(go[1], "x", 1), 1);
	await_lost(&f);
	ck_assert_str_eq(f.lost_reason, "lifetime");
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(go[0]);
	close(go[1]);
	close_link(&f);
}
END_TEST

UNIT_MAIN("link", comes_before_its_pid_is_known, a_foreign_pid_is_closed, a_wait_is_cancelled, violations_end_it,
	  spawn_refusal_and_end, breaks_and_comes_back, its_end_is_seen_at_once)
