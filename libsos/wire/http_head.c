/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/http_head.h"

#include <string.h>
#include <strings.h>

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 101 UPGRADED"; the reason may be missing. */
static bool parse_status(const char *line, size_t length, int *status)
{
	if (length < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !digit(line[7]) || line[8] != ' ')
		return false;
	const char *code = line + 9;
	if (code[0] < '1' || code[0] > '5' || !digit(code[1]) || !digit(code[2]) || (length > 12 && code[3] != ' '))
		return false;
	*status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + code[2] - '0';
	return true;
}

static bool token_character(char c)
{
	return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool parse_length(const char *value, size_t length, int64_t *number)
{
	int64_t n = 0;
	if (length < 1 || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!digit(value[i]))
			return false;
		n = n * 10 + (value[i] - '0');
	}
	*number = n;
	return true;
}

static bool is_text(const char *text, size_t length, const char *word)
{
	return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static bool parse_field(const char *line, size_t length, struct sos_http_head *head)
{
	size_t name = 0;
	while (name < length && token_character(line[name]))
		name++;
	if (!name || name == length || line[name] != ':')
		return false;
	const char *value = line + name + 1, *end = line + length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	size_t value_length = (size_t)(end - value);
	if (is_text(line, name, "content-length")) {
		int64_t n;
		if (!parse_length(value, value_length, &n) || (head->content_length >= 0 && head->content_length != n))
			return false;
		head->content_length = n;
	} else if (is_text(line, name, "transfer-encoding")) {
		if (head->chunked || !is_text(value, value_length, "chunked"))
			return false;
		head->chunked = true;
	}
	return true;
}

ssize_t sos_http_head_parse(const char *data, size_t length, struct sos_http_head *head)
{
	size_t seen = length < SOS_HTTP_HEAD_LIMIT ? length : SOS_HTTP_HEAD_LIMIT;
	const char *end = memmem(data, seen, "\r\n\r\n", 4);
	if (!end) {
		/* Say early what can never become a head, so that nobody waits for more of it. */
		size_t start = seen < 7 ? seen : 7;
		return length >= SOS_HTTP_HEAD_LIMIT || memcmp(data, "HTTP/1.", start) != 0 ? -1 : 0;
	}
	end += 2; /* the last field's own line end stays */
	struct sos_http_head got = { .content_length = -1 };
	for (const char *line = data; line < end;) {
		const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
		size_t n = (size_t)(stop - line);
		if (memchr(line, '\n', n) || memchr(line, '\r', n) || memchr(line, 0, n))
			return -1;
		if (!(line == data ? parse_status(line, n, &got.status) : parse_field(line, n, &got)))
			return -1;
		line = stop + 2;
	}
	if (got.chunked && got.content_length >= 0)
		return -1;
	*head = got;
	return end + 2 - data;
}
