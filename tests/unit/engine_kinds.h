/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call of every kind with a good answer: what the faults are tried on. */

#include "engine_fixture.h"

static _Thread_local long fail_after = -1; /* allocations of this thread that still succeed; -1: all */

/* check itself needs memory. */
static void whole(bool fine)
{
	long kept = fail_after;
	fail_after = -1;
	ck_assert(fine);
	fail_after = kept;
}

static const char *const entrypoint[] = { "/i", NULL };
static const struct sos_engine_container_spec spec = { .name = "n", .image = "i", .entrypoint = entrypoint };

/* Each fails or succeeds as a whole and frees what it got. */
static inline int do_ping(void)
{
	return sos_engine_ping(engine, &call, &error);
}

static inline int do_create(void)
{
	char *id = NULL;
	int r = sos_engine_container_create(engine, &spec, &call, &id, &error);
	whole((r == 0) == (id != NULL));
	free(id);
	return r;
}

static inline int do_start(void)
{
	return sos_engine_container_start(engine, "x", &call, &error);
}

static inline int do_remove(void)
{
	return sos_engine_container_remove(engine, "x", &call, &error);
}

static inline int do_inspect(void)
{
	struct sos_engine_container c = { 0 };
	int r = sos_engine_container_inspect(engine, "x", &call, &c, &error);
	whole((r == 0) == (c.id != NULL));
	sos_engine_container_clear(&c);
	return r;
}

static inline int do_list(void)
{
	struct sos_engine_container *list = NULL;
	size_t count = 0;
	int r = sos_engine_container_list(engine, NULL, &call, &list, &count, &error);
	whole((r == 0) == (list != NULL));
	sos_engine_container_list_free(list, count);
	return r;
}

static inline int do_pull(void)
{
	return sos_engine_image_pull(engine, "i", &call, NULL, NULL, &error);
}

static inline int do_size(void)
{
	int64_t size = -1;
	int r = sos_engine_archive_size(engine, "x", "/p", &call, &size, &error);
	whole((r == 0) == (size != -1));
	return r;
}

static inline int do_put(void)
{
	return sos_engine_archive_put(engine, "x", "/p", "tar", 3, &call, &error);
}

static inline int do_attach(void)
{
	struct sos_engine_stream *stream = NULL;
	int r = sos_engine_attach(engine, "x", &call, &stream, &error);
	whole((r == 0) == (stream != NULL));
	sos_engine_stream_free(stream);
	return r;
}

#define JSON "Content-Type: application/json\r\n"
#define LIST "[{\"Id\":\"a\",\"Names\":[\"/n\"],\"State\":\"created\",\"Labels\":{\"k\":\"v\"}}]"
#define STATE "{\"Id\":\"a\",\"State\":{\"Pid\":1}}"

static const struct {
	int (*run)(void);
	const char *answer;
} kinds[] = {
	{ do_ping, "HTTP/1.1 200 OK\r\n" JSON "Content-Length: 2\r\n\r\nOK" },
	{ do_create, "HTTP/1.1 201 Created\r\n" JSON "Content-Length: 12\r\n\r\n{\"Id\":\"abc\"}" },
	{ do_start, "HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n" },
	{ do_remove, "HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n" },
	{ do_inspect, "HTTP/1.1 200 OK\r\n" JSON "Transfer-Encoding: "
		      "chunked\r\n\r\n5\r\n{\"Id\"\r\n17\r\n:\"a\",\"State\":{\"Pid\":1}}\r\n0\r\nX: y\r\n\r\n" },
	{ do_list, "HTTP/1.1 200 OK\r\n" JSON "Content-Length: 64\r\n\r\n" LIST },
	{ do_pull,
	  "HTTP/1.1 200 OK\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"status\":\"one\"}\r\n0\r\n\r\n" },
	{ do_size, "HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: eyJzaXplIjo3fQ==\r\n\r\n" },
	{ do_put, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
	{ do_attach, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static inline void script(struct fake_reply *reply, const void *bytes, size_t length, bool one_by_one, bool close)
{
	fake_engine_script(fake, NULL, 0); /* the fake may still read an earlier reply at this address */
	*reply = (struct fake_reply){ .bytes = bytes, .length = length, .one_by_one = one_by_one, .close = close };
	fake_engine_script(fake, reply, 1);
	error = (struct sos_error)SOS_ERROR_INIT;
	call.deadline = sos_clock_deadline(60000);
}
