/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history.h"
#include "bytes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_LIMIT ((off_t)1 << 20)

static char *history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int length = -1;
	if (state && *state == '/')
		length = asprintf(&path, "%s/sos/history", state);
	else if (home && *home == '/')
		length = asprintf(&path, "%s/.local/state/sos/history", home);
	return length < 0 ? NULL : path;
}

static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
}

/* Two sessions that cut at the same moment may lose some lines of each other: it is a convenience. */
static void keep_newer_half(int fd)
{
	struct stat status;
	SOS_AUTO_BYTES struct sos_bytes bytes = { 0 };
	if (fstat(fd, &status) < 0 || status.st_size <= SIZE_LIMIT)
		return;
	if (lseek(fd, status.st_size - SIZE_LIMIT / 2, SEEK_SET) < 0 ||
	    sos_bytes_read_fd(&bytes, fd, (size_t)SIZE_LIMIT) < 0)
		return;
	const char *newline = memchr(bytes.data, '\n', bytes.length);
	if (!newline || ftruncate(fd, 0) < 0)
		return;
	sos_bytes_write_fd(fd, newline + 1, bytes.length - (size_t)(newline + 1 - bytes.data));
}

int sos_history_open(void)
{
	SOS_AUTO_STRING char *path = history_path();
	if (!path)
		return -1;
	make_parents(path);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		keep_newer_half(fd);
	return fd;
}

void sos_history_add(int fd, const char *line, size_t length)
{
	SOS_AUTO_BYTES struct sos_bytes bytes = { 0 };
	if (fd < 0 || sos_bytes_append(&bytes, line, length, SIZE_LIMIT) < 0 ||
	    sos_bytes_append(&bytes, "\n", 1, SIZE_LIMIT + 1) < 0)
		return;
	sos_bytes_write_fd(fd, bytes.data, bytes.length);
}
