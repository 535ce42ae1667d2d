/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every call against an Engine that stops, stalls and talks nonsense at every
 * byte of its answer: a typed error in time, outputs untouched. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine_kinds.h"
#include "util/buffer.h"

START_TEST(whole_and_byte_by_byte)
{
	begin();
	for (size_t k = 0; k < KINDS; k++)
		for (int mode = 0; mode < 4; mode++) {
			struct fake_reply reply;
			script(&reply, kinds[k].answer, strlen(kinds[k].answer), mode & 1, mode & 2);
			if (kinds[k].run() != 0)
				ck_abort_msg("kind %zu, mode %d: %s", k, mode, error.message);
			ck_assert_int_eq(error.code, 0);
		}
	end();
}
END_TEST

START_TEST(cut_at_every_byte)
{
	begin();
	for (size_t k = 0; k < KINDS; k++)
		for (size_t cut = 0; cut < strlen(kinds[k].answer); cut++) {
			struct fake_reply reply;
			if (cut + 1 == strlen(kinds[k].answer) && strstr(kinds[k].answer, "chunked"))
				continue; /* only the line feed after the trailer: nothing is missing */
			script(&reply, kinds[k].answer, cut, cut & 1, true);
			int r = kinds[k].run();
			if (r == 0 || r != error.code ||
			    (r != SOS_ERROR_UNREACHABLE && r != SOS_ERROR_ENGINE && r != SOS_ERROR_IMAGE))
				ck_abort_msg("kind %zu, cut at %zu: %d (%d) %s", k, cut, r, error.code, error.message);
		}
	end();
}
END_TEST

/* The answer stops and the connection stays. */
START_TEST(stalled_at_every_byte)
{
	begin();
	for (size_t k = 0; k < KINDS; k++)
		for (size_t cut = 0; cut < strlen(kinds[k].answer); cut += 3) {
			struct fake_reply reply;
			script(&reply, kinds[k].answer, cut, false, false);
			call.deadline = sos_clock_deadline(10);
			int r = kinds[k].run();
			int64_t late = sos_clock_ns() - call.deadline;
			if (r != SOS_ERROR_DEADLINE || error.code != r)
				ck_abort_msg("kind %zu, cut at %zu: %d %s", k, cut, r, error.message);
			ck_assert_int_lt(late, 2000000000);
		}
	end();
}
END_TEST

static void *fire(void *fd)
{
	/* The other side of the race is what is tested: a cancel during the wait. */
	struct timespec soon = { .tv_nsec = 20000000 };
	nanosleep(&soon, NULL);
	ck_assert_int_eq(eventfd_write(*(int *)fd, 1), 0);
	return NULL;
}

START_TEST(cancelled)
{
	begin();
	for (size_t k = 0; k < KINDS; k++) {
		struct fake_reply reply;
		pthread_t thread;
		int fd = eventfd(0, EFD_CLOEXEC);
		script(&reply, kinds[k].answer, k % 2 ? 5 : 0, false, false);
		call = (struct sos_engine_call){ SOS_CLOCK_NEVER, fd };
		ck_assert_int_eq(pthread_create(&thread, NULL, fire, &fd), 0);
		ck_assert_int_eq(kinds[k].run(), SOS_ERROR_CANCELLED);
		ck_assert_int_eq(error.code, SOS_ERROR_CANCELLED);
		pthread_join(thread, NULL);
		fake_engine_script(fake, NULL, 0);
		ck_assert_int_eq(kinds[k].run(), SOS_ERROR_CANCELLED); /* at once, and without a request */
		const char *text;
		ck_assert_uint_eq(fake_engine_requests(fake, &text), 0);
		close(fd);
	}
	end();
}
END_TEST

static const struct {
	const char *bytes;
	int code;
} nonsense[] = {
	{ "\r\n\r\n", 0 },
	{ "220 smtp.example.org ESMTP\r\n", 0 },
	{ "HTTP/1.1 \xff\xff\r\n\r\n", 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}", 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}", 0 },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 0 },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", 0 },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}2\r\n", 0 },
	{ "HTTP/1.1 500 Internal Server Error\r\n\r\nI am not JSON", SOS_ERROR_ENGINE },
	{ "HTTP/1.1 500 Internal Server Error\r\n\r\n{\"message\":\"\\ud800\"}", SOS_ERROR_ENGINE },
	{ "HTTP/1.1 500 Internal Server Error\r\n\r\n{\"message\":{\"a\":1}}", SOS_ERROR_ENGINE },
	{ "HTTP/1.1 500 Internal Server Error\r\n\r\n", SOS_ERROR_ENGINE },
	{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", SOS_ERROR_ENGINE },
	{ "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", SOS_ERROR_ENGINE },
	{ "HTTP/1.1 200 OK\r\n\r\n{\"a\":\"\\ud800\"}", 0 },
	{ "HTTP/1.1 200 OK\r\n\r\n[[[[", 0 },
	{ "HTTP/1.1 200 OK\r\n\r\nnull", 0 },
	{ "HTTP/1.1 200 OK\r\n\r\n7", 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc", 0 },
};

/* do_ping, do_put and do_attach do not read a 200's body, do_remove and do_start none at all: they may call it good. */
START_TEST(garbled)
{
	begin();
	for (size_t k = 0; k < KINDS; k++)
		for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
			struct fake_reply reply;
			script(&reply, nonsense[i].bytes, strlen(nonsense[i].bytes), i & 1, true);
			int r = kinds[k].run();
			bool blind = kinds[k].run == do_ping || kinds[k].run == do_put || kinds[k].run == do_attach ||
				     kinds[k].run == do_remove;
			if (kinds[k].run == do_pull && i == 4)
				blind = true; /* libcurl takes a length beyond all numbers for none; "{}" is a pull
						 without news */
			bool fine = r == SOS_ERROR_ENGINE || r == SOS_ERROR_UNREACHABLE || r == SOS_ERROR_IMAGE ||
				    (r == 0 && blind);
			if (!fine || error.code != r)
				ck_abort_msg("kind %zu, nonsense %zu: %d (%d) %s", k, i, r, error.code, error.message);
			if (nonsense[i].code && kinds[k].run != do_pull)
				ck_assert_int_eq(r, nonsense[i].code);
		}
	end();
}
END_TEST

static struct sos_buffer repeated(const char *head, const char *unit, size_t count, const char *tail)
{
	struct sos_buffer b = SOS_BUFFER_INIT;
	bool fine = sos_buffer_append_string(&b, head) == 0;
	while (fine && count--) /* no assertion in the loop: each costs check two system calls */
		fine = sos_buffer_append_string(&b, unit) == 0;
	ck_assert(fine && sos_buffer_append_string(&b, tail) == 0);
	return b;
}

static void oversized(const char *head, const char *unit, size_t count, const char *tail, int (*run)(void),
		      const char *words)
{
	struct sos_buffer b = repeated(head, unit, count, tail);
	struct fake_reply reply;
	script(&reply, b.data, b.length, false, true);
	int r = run();
	if (r != SOS_ERROR_ENGINE && r != SOS_ERROR_UNREACHABLE && r != SOS_ERROR_IMAGE && r != SOS_ERROR_MEMORY &&
	    r != SOS_ERROR_NOT_FOUND)
		ck_abort_msg("%.20s...: %d %s", unit, r, error.message);
	if (!strstr(error.message, words))
		ck_abort_msg("%s", error.message);
	fake_engine_script(fake, NULL, 0); /* it reads them no longer */
	sos_buffer_free(&b);
}

START_TEST(too_much)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\n\r\n";
	char *kib = malloc(1025);
	memset(kib, 'x', 1024);
	kib[1024] = 0;
	begin();
	oversized(ok, kib, 17 * 1024, "", do_list, "larger than 16 MiB");
	oversized("HTTP/1.1 500 No\r\n\r\n", kib, 17 * 1024, "", do_list, "larger than 16 MiB");
	oversized("HTTP/1.1 200 OK\r\n", "X-Header: 0123456789\r\n", 20000, "\r\n[]", do_list, "");
	oversized("HTTP/1.1 200 OK\r\nX: ", kib, 600, "\r\n\r\n[]", do_list, "field");
	oversized(ok, "[", 100000, "", do_list, "not a JSON list");
	oversized(ok, "{\"a\":", 100000, "", do_inspect, "no state");
	oversized(ok, "[],", 3000000, "", do_list, "not a JSON list");
	oversized("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"", kib, 2000, "\"}", do_pull, "not JSON");
	oversized("HTTP/1.1 200 OK\r\n\r\n", "{\"a\":", 100, "1", do_pull, "not JSON");
	oversized("HTTP/1.1 101 UPGRADED\r\nX: ", kib, 20, "\r\n\r\n", do_attach, "not HTTP");
	oversized("HTTP/1.1 404 Not Found\r\n\r\n{\"message\":\"", kib, 2000, "\"}", do_attach, "(404)");
	oversized("HTTP/1.1 404 Not Found\r\n\r\n{\"message\":\"", "\xf0\x9f\x98\x80", 2000, "\"}", do_create, "(404)");
	free(kib);
	end();
}
END_TEST

/* Many threads share one engine. */
static void *many(void *data)
{
	(void)data;
	struct sos_error e = SOS_ERROR_INIT;
	for (int i = 0; i < 50; i++)
		if (sos_engine_container_start(engine, "x", &call, &e) != 0)
			return strdup(e.message);
	return NULL;
}

START_TEST(threads)
{
	static struct fake_reply replies[400];
	pthread_t thread[8];
	begin();
	for (size_t i = 0; i < 400; i++)
		replies[i] = (struct fake_reply){ FAKE_BYTES("HTTP/1.1 204 No Content\r\n\r\n"), .close = i % 37 == 0 };
	fake_engine_script(fake, replies, 400);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, many, NULL), 0);
	for (int i = 0; i < 8; i++) {
		void *failed = NULL;
		pthread_join(thread[i], &failed);
		if (failed)
			ck_abort_msg("%s", (char *)failed);
	}
	end();
}
END_TEST

static int errors_of(const char *address)
{
	struct sos_engine *e = NULL;
	error = (struct sos_error)SOS_ERROR_INIT;
	ck_assert_int_eq(sos_engine_new(address, &e, &error), 0);
	int r = sos_engine_ping(e, &call, &error);
	sos_engine_free(e);
	return r;
}

START_TEST(no_engine)
{
	begin();
	char path[128], address[140];
	ck_assert_int_eq(errors_of("unix:///nowhere/docker.sock"), SOS_ERROR_UNREACHABLE);
	ck_assert_str_eq(error.message,
			 "Docker Engine at unix:///nowhere/docker.sock: No such file or directory: is the Engine "
			 "running? set DOCKER_HOST to use another");
	/* A socket file with nobody behind it. */
	snprintf(path, sizeof(path), "%s.dead", fake_engine_address(fake) + 7);
	snprintf(address, sizeof(address), "unix://%s", path);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	strcpy(name.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	ck_assert_int_eq(errors_of(address), SOS_ERROR_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(error.message, "Connection refused: is the Engine running?"));
	close(fd);
	unlink(path);
	ck_assert_int_eq(errors_of("tcp://127.0.0.1:1"), SOS_ERROR_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(error.message, "Docker Engine at tcp://127.0.0.1:1: "));
	end();
}
END_TEST

static size_t inherited(void)
{
	size_t count = 0;
	for (int fd = 3; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	return count;
}

START_TEST(descriptors_are_close_on_exec)
{
	begin();
	struct fake_reply replies[2] = { { FAKE_BYTES("HTTP/1.1 204 No Content\r\n\r\n") },
					 { FAKE_BYTES("HTTP/1.1 101 UPGRADED\r\n\r\n") } };
	struct sos_engine_stream *stream = NULL;
	size_t before = inherited();
	fake_engine_script(fake, replies, 2);
	ck_assert_int_eq(do_start(), 0);
	ck_assert_int_eq(sos_engine_attach(engine, "x", &call, &stream, &error), 0);
	ck_assert_uint_eq(inherited(), before + 2); /* the fake's own two */
	sos_engine_stream_free(stream);
	end();
}
END_TEST

UNIT_MAIN("engine_faults", whole_and_byte_by_byte, cut_at_every_byte, stalled_at_every_byte, cancelled, garbled,
	  too_much, threads, no_engine, descriptors_are_close_on_exec)
