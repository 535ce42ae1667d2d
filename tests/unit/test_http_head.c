/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/http_head.h"

#include <stdio.h>

#include "unit.h"

static ssize_t parse(const char *text, size_t length, struct sos_http_head *head)
{
	char *exact = unit_exact(text, length);
	ssize_t r = sos_http_head_parse(exact, length, head);
	free(exact);
	return r;
}

/* Every prefix asks for more, the whole is taken, and what is glued to it is left alone. */
static void takes(const char *text, int status, int64_t length, bool chunked)
{
	struct sos_http_head head;
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(parse(text, i, &head), 0);
	for (int glued = 0; glued < 2; glued++) {
		char all[1024];
		snprintf(all, sizeof(all), "%s%s", text, glued ? "\x01HTTP/1.1 500 x\r\n\r\n" : "");
		ck_assert_int_eq(parse(all, strlen(all), &head), (ssize_t)n);
		ck_assert_int_eq(head.status, status);
		ck_assert_int_eq(head.content_length, length);
		ck_assert_int_eq(head.chunked, chunked);
	}
}

static void refuses(const char *text, size_t length)
{
	struct sos_http_head head = { .status = 7 };
	if (parse(text, length, &head) != -1)
		ck_abort_msg("taken: %s", text);
	ck_assert_int_eq(head.status, 7);
}

#define REFUSES(text) refuses(text, sizeof(text) - 1)

START_TEST(good_heads)
{
	takes("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n"
	      "Upgrade: tcp\r\n\r\n",
	      101, -1, false);
	takes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, -1, true);
	takes("HTTP/1.0 404 Not Found\r\ncontent-LENGTH:\t 17  \r\n\r\n", 404, 17, false);
	takes("HTTP/1.1 200\r\n\r\n", 200, -1, false);
	takes("HTTP/1.1 200 \r\nX:\r\n\r\n", 200, -1, false);
	takes("HTTP/1.1 500 a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 500, 5, false);
}
END_TEST

START_TEST(bad_heads)
{
	REFUSES("220 smtp.example.org\r\n\r\n");
	REFUSES("h");
	REFUSES("HTTP/2");
	REFUSES("\x01\0\0\0\0\0\0\x05");
	REFUSES("HTTP/1.x 200 OK\r\n\r\n");
	REFUSES("HTTP/1.1  200 OK\r\n\r\n");
	REFUSES("HTTP/1.1 20 OK\r\n\r\n");
	REFUSES("HTTP/1.1 2000 OK\r\n\r\n");
	REFUSES("HTTP/1.1 099 OK\r\n\r\n");
	REFUSES("HTTP/1.1 600 OK\r\n\r\n");
	REFUSES("HTTP/1.1 200OK\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\n: x\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nA : x\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nA: x\r\n folded\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nA: x\0y\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nA: x\ny\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nA: x\ry\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
	REFUSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n");
}
END_TEST

START_TEST(long_heads_are_refused)
{
	static const char start[] = "HTTP/1.1 200 OK\r\nA: ";
	size_t size = SOS_HTTP_HEAD_LIMIT + 10;
	char *text = malloc(size);
	ck_assert_ptr_nonnull(text);
	memset(text, 'x', size);
	memcpy(text, start, sizeof(start) - 1);
	struct sos_http_head head;
	ck_assert_int_eq(parse(text, SOS_HTTP_HEAD_LIMIT - 1, &head), 0);
	ck_assert_int_eq(parse(text, SOS_HTTP_HEAD_LIMIT, &head), -1);
	memcpy(text + SOS_HTTP_HEAD_LIMIT - 4, "\r\n\r\n", 4);
	ck_assert_int_eq(parse(text, size, &head), SOS_HTTP_HEAD_LIMIT);
	free(text);
}
END_TEST

UNIT_MAIN("http_head", good_heads, bad_heads, long_heads_are_refused)
