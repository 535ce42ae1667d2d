/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "unit.h"

#define PIPE (256 * 1024)

/* A writer of `length` bytes that differ everywhere, in pieces of all sizes. */
struct writer {
	pthread_t thread;
	size_t length;
	int in, out; /* we read `in` */
	uint32_t seed;
};

static char byte_at(const struct writer *w, size_t i)
{
	return (char)((i * 2654435761u + w->seed) >> 13);
}

static void *write_all(void *data)
{
	struct writer *w = data;
	static const size_t pieces[] = { 1, 4095, 65536, 7, 300000, 8192 };
	char *bytes = malloc(300000);
	for (size_t done = 0, k = 0; done < w->length; k++) {
		size_t n = pieces[k % 6] < w->length - done ? pieces[k % 6] : w->length - done;
		for (size_t i = 0; i < n; i++)
			bytes[i] = byte_at(w, done + i);
		for (size_t at = 0; at < n;) {
			ssize_t put = write(w->out, bytes + at, n - at);
			if (put < 0)
				abort();
			at += (size_t)put;
		}
		done += n;
	}
	free(bytes);
	close(w->out);
	return NULL;
}

static void start(struct writer *w, size_t length, uint32_t seed)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[0], F_SETPIPE_SZ, PIPE);
	*w = (struct writer){ .length = length, .in = fds[0], .out = fds[1], .seed = seed };
	ck_assert_int_eq(pthread_create(&w->thread, NULL, write_all, w), 0);
}

/* Both to their ends; the second may be none. */
static void capture_all(struct sos_capture *capture, struct writer *out, struct writer *err)
{
	struct pollfd polls[2] = { { out->in, POLLIN, 0 }, { err ? err->in : -1, POLLIN, 0 } };
	while (polls[0].fd >= 0 || polls[1].fd >= 0) {
		ck_assert_int_ge(poll(polls, 2, 20000), 1);
		for (int i = 0; i < 2; i++) {
			if (polls[i].fd < 0)
				continue;
			if (polls[i].revents & POLLIN)
				ck_assert_int_ge(sos_capture_pipe(capture, i ? SOS_CAPTURE_ERR : SOS_CAPTURE_OUT,
								  polls[i].fd), 0);
			else if (polls[i].revents & POLLHUP)
				polls[i].fd = -1;
		}
	}
	pthread_join(out->thread, NULL);
	close(out->in);
	if (!err)
		return;
	pthread_join(err->thread, NULL);
	close(err->in);
}

static void expect_start(const struct writer *w, const char *data, size_t length, size_t kept)
{
	ck_assert_uint_eq(length, kept);
	for (size_t i = 0; i < length; i++)
		if (data[i] != byte_at(w, i))
			ck_abort_msg("byte %zu of %zu differs", i, length);
	ck_assert_int_eq(data[length], 0);
}

static void merged(size_t length, uint64_t cap)
{
	struct sos_result *result = sos_result_new("", true, false);
	struct sos_capture capture = { result, cap };
	struct writer w;
	size_t got, kept = length < cap ? length : (size_t)cap;
	start(&w, length, 1);
	capture_all(&capture, &w, NULL);
	const char *data = sos_result_output(result, &got);
	expect_start(&w, data, got, kept);
	ck_assert_uint_eq(sos_result_dropped_bytes(result), length - kept);
	sos_result_unref(result);
}

START_TEST(keeps_every_byte)
{
	merged(1, 1 << 20);
	merged(65536, 1 << 20);
	merged(PIPE, UINT64_MAX / 2);
	merged(20000003, UINT64_MAX / 2);
}
END_TEST

START_TEST(keeps_the_first_and_counts_the_rest)
{
	static const uint64_t caps[] = { 1, 4096, 65537, PIPE, PIPE + 1, 1000003, 5000000, 5000001 };
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		merged(5000000, caps[i]);
}
END_TEST

START_TEST(keeps_streams_apart)
{
	struct sos_result *result = sos_result_new("", true, true);
	struct sos_capture capture = { result, 1500000 };
	struct writer out, err;
	size_t length;
	start(&out, 1400001, 2);
	start(&err, 2000003, 3);
	capture_all(&capture, &out, &err);
	const char *data = sos_result_stdout(result, &length);
	expect_start(&out, data, length, 1400001);
	data = sos_result_stderr(result, &length);
	expect_start(&err, data, length, 1500000);
	ck_assert_uint_eq(sos_result_dropped_stdout(result), 0);
	ck_assert_uint_eq(sos_result_dropped_stderr(result), 500003);
	sos_result_output(result, &length);
	ck_assert_uint_eq(length, 1500000);
	sos_result_unref(result);
}
END_TEST

/* One who writes for ever would hold a reader that goes on until the pipe is empty. */
START_TEST(takes_what_is_there_and_no_more)
{
	struct sos_result *result = sos_result_new("", true, false);
	struct sos_capture capture = { result, 1 << 20 };
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0); /* blocking: one read too many would hang */
	ck_assert_int_eq(sos_capture_pipe(&capture, SOS_CAPTURE_OUT, fds[0]), 0);
	ck_assert_int_eq(write(fds[1], "some", 4), 4);
	ck_assert_int_eq(sos_capture_pipe(&capture, SOS_CAPTURE_OUT, fds[0]), 4);
	ck_assert_int_eq(sos_capture_bytes(&capture, SOS_CAPTURE_OUT, " more", 5), 0);
	sos_capture_lost(&capture, SOS_CAPTURE_OUT, 77);
	ck_assert_str_eq(sos_result_output(result, NULL), "some more");
	ck_assert_uint_eq(sos_result_dropped_bytes(result), 77);
	close(fds[0]);
	close(fds[1]);
	sos_result_unref(result);
}
END_TEST

UNIT_MAIN("capture", keeps_every_byte, keeps_the_first_and_counts_the_rest, keeps_streams_apart,
	  takes_what_is_there_and_no_more)
