/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A link over its socket, to which the test itself plays sos-init. */

#include "core/child.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/loop.h"
#include "unit.h"
#include "util/clock.h"

struct fixture {
	struct sos_loop *loop;
	struct sos_link *link;
	char top[64], directory[96];
	pthread_mutex_t lock;
	pthread_cond_t come;
	int lost_code;
	char lost_reason[200];
};

static inline void on_lost(void *data, int code, const char *reason)
{
	struct fixture *f = data;
	pthread_mutex_lock(&f->lock);
	f->lost_code = code;
	snprintf(f->lost_reason, sizeof(f->lost_reason), "%s", reason);
	pthread_cond_broadcast(&f->come);
	pthread_mutex_unlock(&f->lock);
}

static inline void open_link(struct fixture *f)
{
	*f = (struct fixture){ .lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER };
	snprintf(f->top, sizeof(f->top), "/tmp/sos-test-link-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->top));
	snprintf(f->directory, sizeof(f->directory), "%s/d", f->top);
	ck_assert_int_eq(sos_loop_new(&f->loop, NULL), 0);
	struct sos_link_options options = { .directory = f->directory, .lost = on_lost, .data = f };
	for (int i = 0; i < 16; i++)
		options.nonce[i] = (uint8_t)(i * 17);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(sos_link_new(f->loop, &options, &f->link, &error) == 0, "%s", error.message);
}

static inline void close_link(struct fixture *f)
{
	sos_link_free(f->link);
	sos_loop_free(f->loop);
	ck_assert_int_eq(access(f->directory, F_OK), -1);
	ck_assert_int_eq(rmdir(f->top), 0);
}

static inline void await_lost(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	while (!f->lost_code)
		pthread_cond_wait(&f->come, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static inline int dial(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", f->directory);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline void send_hello(int fd, uint32_t version, const char *nonce)
{
	uint8_t data[256];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof(data));
	sos_frame_put_u32(&w, version);
	sos_frame_put_u32(&w, SOS_HELLO_SOCKET);
	sos_frame_put_u32(&w, 2);
	sos_frame_put_u32(&w, 0);
	sos_frame_put_string(&w, nonce);
	sos_frame_put_bytes(&w, NULL, 0);
	size_t n = sos_frame_end(&w, SOS_FRAME_HELLO, 0, 0);
	ck_assert_int_eq(send(fd, data, n, 0), (ssize_t)n);
}

#define NONCE "00112233445566778899aabbccddeeff"

/* The next frame's type; its id and payload; descriptors that came are counted, and closed but for the last if `keep`. */
static inline uint16_t receive_keeping(int fd, uint32_t *id, struct sos_frame *frame, int *fds, int *keep)
{
	static uint8_t data[200 * 1024];
	char control[CMSG_SPACE(sizeof(int) * 8)];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, 0);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(sos_frame_parse(data, (size_t)n, frame), n);
	*fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		*fds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (int i = 0; i < *fds; i++) {
			int got;
			memcpy(&got, CMSG_DATA(c) + (size_t)i * sizeof(int), sizeof(int));
			if (keep && i == *fds - 1)
				*keep = got;
			else
				close(got);
		}
	}
	*id = frame->id;
	return frame->type;
}

static inline uint16_t receive(int fd, uint32_t *id, struct sos_frame *frame, int *fds)
{
	return receive_keeping(fd, id, frame, fds, NULL);
}

static inline void reply(int fd, uint16_t type, uint32_t id, uint32_t value, const char *message)
{
	uint8_t data[256];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof(data));
	sos_frame_put_u32(&w, value);
	if (message)
		sos_frame_put_string(&w, message);
	size_t n = sos_frame_end(&w, type, 0, id);
	ck_assert_int_eq(send(fd, data, n, 0), (ssize_t)n);
}

static inline int connected(struct fixture *f)
{
	struct sos_error error = SOS_ERROR_INIT;
	int fd = dial(f);
	ck_assert_int_ge(fd, 0);
	send_hello(fd, SOS_PROTOCOL_VERSION, NONCE);
	sos_link_set_pid(f->link, getpid());
	ck_assert_msg(sos_link_wait(f->link, sos_clock_deadline(5000), -1, &error) == 0, "%s", error.message);
	return fd;
}
