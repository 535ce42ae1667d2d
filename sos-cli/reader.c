/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reader.h"
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A command larger than the server takes is refused by the server; this is the bound of what we keep. */
#define LINE_LIMIT ((size_t)64 << 20)

static void prompt(const struct sos_reader *reader, const char *text)
{
	if (reader->terminal)
		sos_bytes_write_fd(STDERR_FILENO, text, strlen(text));
}

/* Read once. 1: there is more; 0: the end; -1: errno; -2: a signal. */
static int fill(struct sos_reader *reader, int *signal)
{
	struct pollfd fds[] = {
		{ .fd = sos_signals_fd(), .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	char piece[65536];
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if ((*signal = sos_signals_take()))
			return -2;
		if (!fds[1].revents)
			continue;
		ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			return 0;
		if (sos_bytes_append(&reader->pending, piece, (size_t)got, LINE_LIMIT) == 0)
			return 1;
		errno = EFBIG;
		return -1;
	}
}

/* Move one line, if there is a whole one (or the rest at the end), behind what `line` has. */
static bool take_line(struct sos_reader *reader, struct sos_bytes *line)
{
	size_t left = reader->pending.length - reader->taken;
	const char *begin = left ? reader->pending.data + reader->taken : NULL;
	const char *newline = left ? memchr(begin, '\n', left) : NULL;
	if (!newline && !(reader->ended && left))
		return false;
	size_t length = newline ? (size_t)(newline - begin) : left;
	sos_bytes_append(line, begin, length, LINE_LIMIT * 2);
	reader->taken += newline ? length + 1 : length;
	if (reader->taken == reader->pending.length) {
		reader->taken = 0;
		reader->pending.length = 0;
	} else if (reader->taken > reader->pending.length / 2) {
		reader->pending.length -= reader->taken;
		memmove(reader->pending.data, reader->pending.data + reader->taken, reader->pending.length);
		reader->taken = 0;
	}
	return true;
}

/* An odd number of backslashes: the last one quotes the newline. */
static bool goes_on(const struct sos_bytes *line)
{
	size_t count = 0;
	while (count < line->length && line->data[line->length - 1 - count] == '\\')
		count++;
	return count % 2;
}

enum sos_reader_event sos_reader_next(struct sos_reader *reader, struct sos_bytes *line, int *signal)
{
	line->length = 0;
	prompt(reader, "sos> ");
	for (;;) {
		while (!take_line(reader, line)) {
			if (reader->ended)
				return line->length ? SOS_READER_LINE : SOS_READER_END;
			int got = fill(reader, signal);
			if (got < 0)
				return got == -2 ? SOS_READER_SIGNAL : SOS_READER_FAILED;
			reader->ended = got == 0;
		}
		if (!goes_on(line))
			return SOS_READER_LINE;
		/* bash joins the lines itself, by its own rules. */
		sos_bytes_append(line, "\n", 1, LINE_LIMIT * 2);
		prompt(reader, "> ");
	}
}

void sos_reader_free(struct sos_reader *reader)
{
	sos_bytes_free(&reader->pending);
}
