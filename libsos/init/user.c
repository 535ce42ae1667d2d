/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/text.h"

#define ID_MAX UINT64_C(2147483647)
#define FILE_MAX (8u << 20)
#define LINE_MAX_BYTES 16384u /* a group with many members; a longer line is passed over */
#define FIELDS_MAX 7u

struct piece {
	const char *data;
	size_t length;
};

struct lines {
	int fd;
	char buffer[LINE_MAX_BYTES];
	size_t start, length, total;
	bool end;
};

/* A regular file, or nothing to read: a FIFO or a device must not hold us up. */
static void lines_open(struct lines *l, const char *path)
{
	struct stat st;
	l->start = l->length = l->total = 0;
	l->end = false;
	l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (l->fd >= 0 && (fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(l->fd);
		l->fd = -1;
	}
}

static void lines_close(struct lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static void lines_fill(struct lines *l)
{
	memmove(l->buffer, l->buffer + l->start, l->length);
	l->start = 0;
	ssize_t n;
	do
		n = l->fd < 0 ? 0 : read(l->fd, l->buffer + l->length, sizeof l->buffer - l->length);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		l->total += (size_t)n;
	if (n <= 0 || l->total > FILE_MAX)
		l->end = true;
	l->length += n > 0 ? (size_t)n : 0;
}

/* The next line without its end; lines that do not fit are left out whole. */
static bool lines_next(struct lines *l, struct piece *line)
{
	bool too_long = false;
	for (;;) {
		char *p = l->buffer + l->start;
		char *newline = memchr(p, '\n', l->length);
		if (newline || (l->end && l->length)) {
			size_t length = newline ? (size_t)(newline - p) : l->length;
			size_t used = newline ? length + 1 : length;
			*line = (struct piece){p, length};
			l->start += used;
			l->length -= used;
			if (!too_long)
				return true;
			too_long = false;
			continue;
		}
		if (l->end)
			return false;
		if (l->length == sizeof l->buffer) {
			too_long = true;
			l->length = 0;
		}
		lines_fill(l);
	}
}

static unsigned split(struct piece text, char by, struct piece *fields, unsigned max)
{
	unsigned n = 0;
	const char *end = text.data + text.length;
	while (n < max) {
		const char *stop = memchr(text.data, by, (size_t)(end - text.data));
		fields[n++] = (struct piece){text.data, (size_t)((stop ? stop : end) - text.data)};
		if (!stop)
			break;
		text.data = stop + 1;
	}
	return n;
}

static bool equal(struct piece a, struct piece b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static bool number(struct piece p, uint64_t *value)
{
	return sos_text_parse(p.data, p.length, ID_MAX, value) == 0;
}

static void copy(char to[SOS_USER_FIELD_MAX], struct piece p)
{
	if (p.length >= SOS_USER_FIELD_MAX || memchr(p.data, 0, p.length))
		p.length = 0;
	memcpy(to, p.data, p.length);
	to[p.length] = 0;
}

/* The first line that matches by name or by number, as Docker takes it. */
static void find_passwd(struct lines *l, struct piece who, bool numeric, uint64_t uid, struct sos_user *user)
{
	struct piece line, f[FIELDS_MAX];
	while (lines_next(l, &line)) {
		uint64_t id, gid;
		if (split(line, ':', f, FIELDS_MAX) < 4 || !f[0].length || !number(f[2], &id) || !number(f[3], &gid))
			continue;
		if (!equal(f[0], who) && !(numeric && id == uid))
			continue;
		unsigned n = split(line, ':', f, FIELDS_MAX);
		user->known = true;
		user->uid = (uid_t)id;
		user->gid = (gid_t)gid;
		copy(user->name, f[0]);
		if (n > 5)
			copy(user->home, f[5]);
		if (n > 6)
			copy(user->shell, f[6]);
		return;
	}
}

static bool is_member(struct piece members, struct piece name)
{
	while (members.length) {
		struct piece m[1];
		split(members, ',', m, 1);
		if (equal(m[0], name))
			return true;
		size_t used = m[0].length < members.length ? m[0].length + 1 : m[0].length;
		members.data += used;
		members.length -= used;
	}
	return false;
}

/* With a group asked for: its number. Without: the groups that the user is a member of. */
static bool find_groups(struct lines *l, struct piece group, struct sos_user *user)
{
	struct piece line, f[4], name = {user->name, strlen(user->name)};
	uint64_t wanted = 0;
	bool numeric = number(group, &wanted);
	while (lines_next(l, &line)) {
		uint64_t gid;
		if (split(line, ':', f, 4) < 4 || !number(f[2], &gid))
			continue;
		if (group.length) {
			if (equal(f[0], group) || (numeric && gid == wanted)) {
				user->gid = (gid_t)gid;
				return true;
			}
		} else if (user->known && is_member(f[3], name) && user->group_count < SOS_USER_GROUPS_MAX) {
			user->groups[user->group_count++] = (gid_t)gid;
		}
	}
	if (group.length && numeric)
		user->gid = (gid_t)wanted;
	return !group.length || numeric;
}

const char *sos_user_find(const char *passwd_path, const char *group_path, const char *wanted, size_t length,
			  struct sos_user *user)
{
	static struct lines lines; /* 16 KiB that need not be on the stack */
	static struct sos_user found;
	struct piece part[2] = {{"", 0}, {"", 0}};
	uint64_t uid = 0;
	memset(&found, 0, sizeof found);
	split((struct piece){wanted, length}, ':', part, 2);
	if (!part[0].length)
		part[0] = (struct piece){"0", 1};
	bool numeric = number(part[0], &uid);

	lines_open(&lines, passwd_path);
	find_passwd(&lines, part[0], numeric, uid, &found);
	lines_close(&lines);
	if (!found.known) {
		if (!numeric)
			return "no such user in the image's /etc/passwd";
		found.uid = (uid_t)uid;
		copy(found.name, uid ? part[0] : (struct piece){"root", 4});
	}
	if (!found.home[0])
		strcpy(found.home, found.uid == 0 && !found.known ? "/root" : "/");

	lines_open(&lines, group_path);
	bool good = find_groups(&lines, part[1], &found);
	lines_close(&lines);
	if (!good)
		return "no such group in the image's /etc/group";
	*user = found;
	return NULL;
}
