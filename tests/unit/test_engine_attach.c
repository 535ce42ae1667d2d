/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attach stream against an Engine that glues, splits, cuts and garbles. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "engine_fixture.h"
#include "util/buffer.h"

#define UPGRADED                                                                                                       \
	"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: " \
	"tcp\r\n\r\n"
#define HIJACKED "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define FRAMES "\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\3err\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1!"

struct got {
	struct sos_buffer out, err;
	ssize_t last; /* what ended it */
};

static void got_free(struct got *got)
{
	sos_buffer_free(&got->out);
	sos_buffer_free(&got->err);
}

/* Everything up to the stream's end, by reads of `size`. */
static struct got read_all(struct sos_engine_stream *stream, size_t size)
{
	struct got got = { .last = 0 };
	char data[256];
	for (;;) {
		bool is_stderr = false;
		ssize_t n = sos_engine_stream_read(stream, data, size, &is_stderr);
		if (n == -EAGAIN) {
			struct pollfd p = { .fd = sos_engine_stream_fd(stream), .events = POLLIN };
			if (poll(&p, 1, 20000) == 0)
				ck_abort_msg("the stream stands still");
			continue;
		}
		if (n <= 0) {
			got.last = n;
			return got;
		}
		ck_assert_int_le(n, (ssize_t)size);
		ck_assert_int_eq(sos_buffer_append(is_stderr ? &got.err : &got.out, data, (size_t)n), 0);
	}
}

static struct got stream_of(const void *bytes, size_t length, bool one_by_one, size_t read_size)
{
	struct fake_reply reply = { .bytes = bytes,
				    .length = length,
				    .one_by_one = one_by_one,
				    .close = true,
				    .request = "POST /containers/x/attach?" };
	struct sos_engine_stream *stream = NULL;
	fake_engine_script(fake, &reply, 1);
	if (sos_engine_attach(engine, "x", &call, &stream, &error) < 0)
		ck_abort_msg("%s", error.message);
	struct got got = read_all(stream, read_size);
	sos_engine_stream_free(stream);
	fake_engine_script(fake, NULL, 0); /* it reads `reply` no longer */
	return got;
}

static void expect(const void *bytes, size_t length, bool one_by_one, size_t read_size, const char *out,
		   const char *err, ssize_t last)
{
	struct got got = stream_of(bytes, length, one_by_one, read_size);
	ck_assert_str_eq(got.out.data ? got.out.data : "", out);
	ck_assert_str_eq(got.err.data ? got.err.data : "", err);
	ck_assert_int_eq(got.last, last);
	got_free(&got);
}

START_TEST(glued_to_the_head)
{
	static const char upgraded[] = UPGRADED FRAMES, hijacked[] = HIJACKED FRAMES,
			  continued[] = "HTTP/1.1 100 Continue\r\n\r\n" UPGRADED FRAMES;
	begin();
	for (size_t size = 1; size < 20; size++)
		for (int slow = 0; slow < 2; slow++) {
			expect(upgraded, sizeof(upgraded) - 1, slow, size, "hello!", "err", 0);
			expect(hijacked, sizeof(hijacked) - 1, slow, size, "hello!", "err", 0);
			expect(continued, sizeof(continued) - 1, slow, size, "hello!", "err", 0);
		}
	ck_assert(!fake_engine_mismatch(fake));
	end();
}
END_TEST

START_TEST(chunked_by_a_proxy)
{
	/* Chunks that do not care for frames. */
	static const char body[] = CHUNKED "3\r\n\1\0\0\r\nb\r\n\0\0\0\0\5hello\2\r\n12\r\n\0\0\0\0\0\0\3err\1\0\0\0\0"
					   "\0\0\1\r\n1\r\n!\r\n0\r\n\r\n";
	begin();
	for (size_t size = 1; size < 20; size++)
		for (int slow = 0; slow < 2; slow++)
			expect(body, sizeof(body) - 1, slow, size, "hello!", "err", 0);
	end();
}
END_TEST

START_TEST(cut_streams)
{
	static const char text[] = UPGRADED FRAMES, chunks[] = CHUNKED "9\r\n\1\0\0\0\0\0\0\1x\r\n0\r\n\r\n";
	size_t head = sizeof(UPGRADED) - 1;
	begin();
	for (size_t cut = head; cut < sizeof(text); cut++) {
		size_t at = cut - head;
		bool boundary = at == 0 || at == 13 || at == 24 || at == 32 || at == 41;
		struct got got = stream_of(text, cut, cut & 1, 256);
		ck_assert_int_eq(got.last, boundary ? 0 : -ECONNRESET);
		ck_assert_uint_eq(got.out.length, at < 8 ? 0 : at < 13 ? at - 8 : at < 41 ? 5 : 6);
		got_free(&got);
	}
	for (size_t cut = sizeof(CHUNKED) - 1; cut < sizeof(chunks) - 1; cut++) {
		struct got got = stream_of(chunks, cut, cut & 1, 256);
		ck_assert_int_eq(got.last, -ECONNRESET);
		got_free(&got);
	}
	end();
}
END_TEST

START_TEST(garbled_streams)
{
	static const char plain[] = UPGRADED "hello, I am not framed",
			  late[] = UPGRADED "\1\0\0\0\0\0\0\2ok\1\0\0\0\xff\0\0\0",
			  bad_chunk[] = CHUNKED "a\r\n\1\0\0\0\0\0\0\2ok\r\nzz\r\n";
	begin();
	expect(plain, sizeof(plain) - 1, false, 256, "", "", -EPROTO);
	expect(plain, sizeof(plain) - 1, true, 1, "", "", -EPROTO);
	expect(late, sizeof(late) - 1, false, 256, "ok", "", -EPROTO);
	expect(bad_chunk, sizeof(bad_chunk) - 1, false, 256, "ok", "", -EPROTO);
	expect(bad_chunk, sizeof(bad_chunk) - 1, true, 1, "ok", "", -EPROTO);
	end();
}
END_TEST

START_TEST(bad_stays_bad)
{
	static const struct fake_reply replies[] = { { FAKE_BYTES(UPGRADED "garbage") } };
	struct sos_engine_stream *stream = NULL;
	char data[16];
	bool is_stderr;
	begin();
	fake_engine_script(fake, replies, 1);
	ck_assert_int_eq(sos_engine_attach(engine, "x", &call, &stream, &error), 0);
	struct got got = read_all(stream, 16);
	ck_assert_int_eq(got.last, -EPROTO);
	got_free(&got);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sos_engine_stream_read(stream, data, sizeof(data), &is_stderr), -EPROTO);
	sos_engine_stream_free(stream);
	end();
}
END_TEST

START_TEST(writes_arrive)
{
	static const struct fake_reply replies[] = { { FAKE_BYTES(UPGRADED) } };
	struct sos_engine_stream *stream = NULL;
	size_t length = 1u << 20, sent = 0;
	char *data = malloc(length), *received = malloc(length);
	begin();
	for (size_t i = 0; i < length; i++)
		data[i] = (char)(i * 31 >> 3);
	fake_engine_script(fake, replies, 1);
	ck_assert_int_eq(sos_engine_attach(engine, "x", &call, &stream, &error), 0);
	while (sent < length) {
		ssize_t n = sos_engine_stream_write(stream, data + sent, length - sent);
		if (n == -EAGAIN) {
			struct pollfd p = { .fd = sos_engine_stream_fd(stream), .events = POLLOUT };
			ck_assert_int_eq(poll(&p, 1, 20000), 1);
			continue;
		}
		ck_assert_int_gt(n, 0);
		sent += (size_t)n;
	}
	fake_engine_received(fake, received, length);
	ck_assert_int_eq(memcmp(data, received, length), 0);
	sos_engine_stream_free(stream);
	free(data);
	free(received);
	end();
}
END_TEST

START_TEST(write_to_a_closed_stream)
{
	static const struct fake_reply replies[] = { { FAKE_BYTES(UPGRADED), .close = true } };
	struct sos_engine_stream *stream = NULL;
	begin();
	fake_engine_script(fake, replies, 1);
	ck_assert_int_eq(sos_engine_attach(engine, "x", &call, &stream, &error), 0);
	struct got got = read_all(stream, 16);
	ck_assert_int_eq(got.last, 0);
	ck_assert_int_eq(sos_engine_stream_write(stream, "x", 1), -EPIPE); /* and no SIGPIPE */
	sos_engine_stream_free(stream);
	end();
}
END_TEST

static void refused(const char *answer, int code, const char *message)
{
	struct fake_reply reply = { .bytes = answer, .length = strlen(answer), .close = !strstr(answer, "Length") };
	struct sos_engine_stream *stream = NULL;
	fake_engine_script(fake, &reply, 1);
	ck_assert_int_eq(sos_engine_attach(engine, "x", &call, &stream, &error), code);
	ck_assert_ptr_null(stream);
	ck_assert_str_eq(error.message, message);
	fake_engine_script(fake, NULL, 0);
}

START_TEST(refusals)
{
	begin();
	refused("HTTP/1.1 404 Not Found\r\nContent-Length: 37\r\n\r\n{\"message\":\"No such container: x\"}\n\n\n",
		SOS_ERROR_NOT_FOUND, "attach to container \"x\": No such container: x (404)");
	refused("HTTP/1.1 500 No\r\nTransfer-Encoding: "
		"chunked\r\n\r\n7\r\n{\"messa\r\nc\r\nge\":\"hello\"}\r\n0\r\n\r\n",
		SOS_ERROR_ENGINE, "attach to container \"x\": hello (500)");
	refused("HTTP/1.1 409 Conflict\r\n\r\nin plain words", SOS_ERROR_ENGINE,
		"attach to container \"x\": in plain words (409)");
	refused("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz", SOS_ERROR_ENGINE,
		"attach to container \"x\": the Engine did not say why (500)");
	refused("SSH-2.0-OpenSSH_9.2\r\n", SOS_ERROR_ENGINE,
		"attach to container \"x\": the Engine's answer is not HTTP");
	refused("", SOS_ERROR_UNREACHABLE,
		"attach to container \"x\": the Engine closed the connection without an answer");
	end();
}
END_TEST

UNIT_MAIN("engine_attach", glued_to_the_head, chunked_by_a_proxy, cut_streams, garbled_streams, bad_stays_bad,
	  writes_arrive, write_to_a_closed_stream, refusals)
