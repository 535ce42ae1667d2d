/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sos-init as PID 1 of namespaces of its own, in a small root made of this
 * machine's programs, with the capabilities of a sandbox; and the library's
 * end of its protocol, frame by frame. Needs root. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/frame.h"

struct box_options {
	const char *init;                   /* the program */
	const char *transport;              /* "socket" (NULL), "attach", "auto" */
	const char *lease_ms, *lifetime_ms; /* NULL: none */
	bool no_nonce, wrong_nonce, no_listener;
	bool network;     /* NET_ADMIN, a dummy interface with a route */
	bool strict_caps; /* only what `strict` gives */
	unsigned nofile;  /* soft RLIMIT_NOFILE; 0: as it is */
};

struct box {
	pid_t pid;          /* outside; 0 when it was waited for */
	char dir[64];       /* ctl/ and root/ */
	int listener, conn; /* socket transport; -1 */
	int in, out;        /* the container's stdin and stdout: we write, we read */
	uint32_t next_id;
	uint8_t *data;          /* the last frame */
	size_t length, used;    /* attach: bytes read, of those the last frame's */
	int fds[SOS_FRAME_FDS]; /* that came with the last frame; the test closes what it keeps */
	unsigned fd_count;
	int notify; /* an eventfd, passed with SOS_SPAWN_NOTIFY; stays the test's */
};

void box_start(struct box *box, const struct box_options *options);
void box_stop(struct box *box);
/* Wait for its connection and its HELLO. The hello's payload is the last frame. */
bool box_accept(struct box *box, int timeout_ms, struct sos_frame *hello);
void box_hang_up(struct box *box);
void box_listen(struct box *box);
/* How it ended, -1: not within the time. */
int box_ended(struct box *box, int timeout_ms);

/* The next frame. False: none within the time, or the connection is gone. */
bool box_receive(struct box *box, int timeout_ms, struct sos_frame *frame);
/* Frames are passed over until one of that type and (unless 0) id. */
bool box_expect(struct box *box, uint16_t type, uint32_t id, struct sos_frame *frame);
void box_send(struct box *box, const void *frame, size_t length, const int *fds, unsigned count);
/* A request of u32 values; gives its id. */
uint32_t box_request(struct box *box, uint16_t type, unsigned count, ...);
/* The answer to a request: 0, or the errno of ERROR (message in `text`), -1 none. OK's u32 in *value. */
int box_answer(struct box *box, uint32_t id, uint32_t *value, char text[256]);

struct box_setup {
	const char *user, *directory, *hostname, *record;
	const char *const *environment; /* NULL-terminated */
	uint64_t lifetime_ms, idle_ms, lease_ms;
	uint32_t flags;
};
/* 0 or what box_answer gives. */
int box_setup(struct box *box, const struct box_setup *setup, uint32_t *shell, char text[256]);

struct box_fd {
	uint32_t target, end, source, mode;
	int fd; /* PASSED: what is passed, closed here afterwards */
};
/* argv by NULL-terminated list. Gives the child's id; the answer is still to be read. */
uint32_t box_spawn(struct box *box, uint32_t kind, uint32_t flags, const char *const *argv, const struct box_fd *fds,
		   unsigned count);

/* `sh -c text`, output by a pipe of ours: its output until EXITED, and the wait status; -1 in *status: it failed. */
char *box_shell(struct box *box, const char *text, int *status);
/* Start an interactive bash as a session, with `text` typed to it. Its command pipe goes to ends[0], its output comes
 * from ends[1]; the child's id. */
uint32_t box_start_session(struct box *box, const char *text, int ends[2], uint32_t *pid);
/* Read until `end` (counted in the text) shows, or the time is over; a string of the caller's. */
char *box_read_until(int fd, const char *end, int timeout_ms);
/* EXITED of a child: its wait status, or -1. */
int box_wait(struct box *box, uint32_t id, int timeout_ms);
