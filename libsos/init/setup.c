/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/setup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/caps.h"
#include "init/clocks.h"
#include "init/control.h"
#include "init/environ.h"
#include "init/net.h"
#include "init/text.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool done, locked;
static struct sos_user user;
static char directory[PATH_MAX];
static char record[SOS_FRAME_RECORD_MAX];
static uint32_t record_length;
static char shell_path[PATH_MAX];

bool sos_setup_done(void)
{
	return done;
}

const struct sos_user *sos_setup_user(void)
{
	return &user;
}

const char *sos_setup_directory(void)
{
	return directory;
}

void sos_setup_remember(struct sos_frame_string r)
{
	record_length = r.length < sizeof record ? r.length : sizeof record;
	memcpy(record, r.data, record_length);
}

struct sos_frame_string sos_setup_record(void)
{
	return (struct sos_frame_string){record, record_length};
}

static bool find_program(const char *path, const char *name)
{
	while (path) {
		const char *colon = strchr(path, ':');
		size_t length = colon ? (size_t)(colon - path) : strlen(path);
		struct stat st;
		if (length && length + 1 + strlen(name) < sizeof shell_path) {
			memcpy(shell_path, path, length);
			shell_path[length] = '/';
			strcpy(shell_path + length + 1, name);
			if (stat(shell_path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
				return true;
		}
		path = colon ? colon + 1 : NULL;
	}
	strcpy(shell_path, "/bin/sh"); /* what SHELL says where there is none */
	return false;
}

uint32_t sos_setup_shell(void)
{
	const char *path = sos_environ_get(sos_environ(), "PATH");
	path = path ? path : DEFAULT_PATH;
	return find_program(path, "bash") ? 2 : find_program(path, "sh") ? 1 : 0;
}

static void make_directories(void)
{
	struct stat st;
	if (stat(directory, &st) == 0)
		return;
	for (char *p = directory + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		mkdir(directory, 0755);
		*p = '/';
	}
	mkdir(directory, 0755);
}

static void refuse(uint32_t id, int errnum, const char *what, struct sos_frame_string name, const char *why)
{
	struct sos_text text;
	sos_text_clear(&text);
	sos_text_string(&text, what);
	if (name.length) {
		sos_text_string(&text, " \"");
		sos_text_bytes(&text, name.data, name.length);
		sos_text_string(&text, "\"");
	}
	sos_text_string(&text, ": ");
	sos_text_string(&text, why);
	sos_control_error(id, errnum, text.data);
}

static bool set_directory(uint32_t id, struct sos_frame_string wanted)
{
	struct stat st;
	if (wanted.length >= sizeof directory || (wanted.length && wanted.data[0] != '/')) {
		refuse(id, EINVAL, "working directory", wanted, "not an absolute path that fits");
		return false;
	}
	memcpy(directory, wanted.data, wanted.length);
	directory[wanted.length] = 0;
	if (!directory[0])
		return true;
	sos_caps_raise();
	make_directories();
	int e = stat(directory, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
	sos_caps_lower();
	if (e)
		refuse(id, e, "working directory", wanted, strerror(e));
	return !e;
}

/* Once, before the first child: network, then capabilities. Not done to the end, nothing can be started. */
static bool lock(uint32_t id, const struct sos_frame_setup *s)
{
	int e = 0;
	const struct sos_frame_string nothing = {"", 0};
	char hostname[256] = "";
	if (locked)
		return true;
	if (s->flags & SOS_SETUP_NETWORK) {
		const char *what = sos_net_block_link_local(&e);
		if (what) {
			refuse(id, e, what, nothing, strerror(e));
			return false;
		}
	} else {
		sos_net_loopback();
	}
	if (s->hostname.length < sizeof hostname)
		memcpy(hostname, s->hostname.data, s->hostname.length);
	sos_net_write_files(hostname);
	e = sos_caps_lock(s->flags & SOS_SETUP_STRICT);
	if (e < 0) {
		refuse(id, -e, "drop capabilities", nothing, strerror(-e));
		return false;
	}
	locked = true;
	return true;
}

/* The list, or nothing: the environment stays. False: a violation, or refused already. */
static bool read_environment(const struct sos_frame *frame, struct sos_frame_reader *r, bool given, bool *refused)
{
	static struct sos_frame_string environment[SOS_FRAME_LIST_MAX];
	uint32_t count = sos_frame_read_list(r, environment, SOS_FRAME_LIST_MAX);
	if (!sos_frame_read_done(r) || (!given && count))
		return false;
	*refused = given && !sos_environ_build(environment, count, &user, shell_path);
	if (*refused)
		refuse(frame->id, E2BIG, "environment", (struct sos_frame_string){"", 0}, "too large, or not NAME=value");
	return true;
}

bool sos_setup_hand_over(const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint64_t lifetime = sos_frame_read_u64(&r), idle = sos_frame_read_u64(&r);
	uint32_t flags = sos_frame_read_u32(&r);
	struct sos_frame_string given = sos_frame_read_bytes(&r);
	bool refused;
	/* One whose environment may be refused must be answered. */
	if (!done || flags & ~SOS_HANDOVER_ENVIRONMENT || (flags && !frame->id) || given.length > SOS_FRAME_RECORD_MAX ||
	    !read_environment(frame, &r, flags, &refused))
		return false;
	if (refused)
		return true;
	sos_setup_remember(given);
	sos_clocks_lifetime(lifetime);
	sos_clocks_idle_timeout(idle);
	if (frame->id)
		sos_control_ok(frame->id);
	return true;
}

bool sos_setup(const struct sos_frame *frame)
{
	static struct sos_frame_string environment[SOS_FRAME_LIST_MAX];
	struct sos_frame_setup s;
	if (!sos_frame_read_setup(frame, &s, environment, SOS_FRAME_LIST_MAX))
		return false;
	const char *why = sos_user_find("/etc/passwd", "/etc/group", s.user.data, s.user.length, &user);
	if (why) {
		refuse(frame->id, ENOENT, "user", s.user, why);
		return true;
	}
	if (!set_directory(frame->id, s.working_directory))
		return true;
	sos_environ_build(environment, s.environment_count, &user, "/bin/sh"); /* for PATH */
	uint32_t shell = sos_setup_shell();
	if (!sos_environ_build(environment, s.environment_count, &user, shell_path)) {
		refuse(frame->id, E2BIG, "environment", (struct sos_frame_string){"", 0},
		       "too large, or not NAME=value");
		return true;
	}
	if (!lock(frame->id, &s))
		return true;
	sos_setup_remember(s.record);
	if (s.lifetime_ms)
		sos_clocks_lifetime(s.lifetime_ms);
	sos_clocks_idle_timeout(s.idle_timeout_ms);
	sos_clocks_lease(s.lease_ms);
	done = true;
	sos_control_ok_u32(frame->id, shell);
	return true;
}
