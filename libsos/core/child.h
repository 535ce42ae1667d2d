/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes that sos-init started for us: what session.c and standalone.c need
 * of a link beyond link.h. */

#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/buffer.h"
#include "util/list.h"
#include "wire/frame.h"

#include "core/link.h"

/* Ends that a child gets. The library's own ends stay with the caller. */
enum sos_port_kind {
	SOS_PORT_IN,   /* fd is the read end of a pipe */
	SOS_PORT_OUT,  /* fd is the write end of a pipe */
	SOS_PORT_FILE, /* fd is a memfd */
	SOS_PORT_NULL,
	SOS_PORT_DUP   /* of the port with target `source` */
};
struct sos_port {
	uint32_t target;
	enum sos_port_kind kind;
	int fd;
	uint32_t source;
};

#define SOS_CHILD_DRAINED 3

struct sos_child {
	struct sos_list node;
	struct sos_link *link;
	uint32_t id;
	int wake_fd; /* an eventfd, written whenever something below changed; sos-init may have it too (SOS_SPAWN_NOTIFY) */
	/* Under the link's lock; sos_child_look takes a copy. */
	bool exited, paused;
	unsigned breaks; /* of the connection: it may be back before anybody looks */
	int refused; /* errno: sos-init could not start it (sos_child_start) */
	int status;  /* as waitpid has it */
	/* What sos-init drained while the connection was broken: comes before what is in the pipe. */
	struct {
		uint32_t target; /* 0: unused */
		uint64_t dropped; /* bytes that did not fit into its buffer */
		struct sos_buffer data;
	} drained[SOS_CHILD_DRAINED];
};

struct sos_child_state {
	bool exited, paused;
	unsigned breaks; /* of the connection so far */
	bool drained;  /* sos_child_take_drained has something */
	int status;
	int refused;   /* errno: it was not started */
	int ended;     /* enum sos_code once the link ended, else 0 */
};

/* Start `argv` as `child`. Ports of kind IN and OUT: their descriptors are taken over and closed, whatever happens.
 * `*exec_errno` is not 0 where sos-init could not start the program; the call itself then succeeds. */
int sos_child_spawn(struct sos_link *link, struct sos_child *child, enum sos_frame_kind kind, uint32_t flags,
		    const char *const *argv, const struct sos_port *ports, size_t port_count, int64_t deadline,
		    int *exec_errno, struct sos_error *error);
/* The same for a standalone command, without waiting for sos-init: how it went shows in sos_child_look. Where that says
 * that the connection broke meanwhile, ask sos_child_lives once it is back: the start may have been lost with it. */
int sos_child_start(struct sos_link *link, struct sos_child *child, uint32_t flags, const char *const *argv,
		    const struct sos_port *ports, size_t port_count, int64_t deadline, struct sos_error *error);
/* Its descriptors at sos-init and here are closed, what is left of it killed. Zeroed memory is accepted. */
void sos_child_free(struct sos_child *child);

struct sos_child_state sos_child_look(struct sos_child *child);
/* Make `wake_fd` quiet until the next change; look afterwards. */
void sos_child_quiet(struct sos_child *child);
/* Append what was drained for `target` to `buffer`; `*dropped`: what was not kept of it. 0 or -1 (no memory). */
int sos_child_take_drained(struct sos_child *child, uint32_t target, struct sos_buffer *buffer, uint64_t *dropped);
/* Why the link ended, into `error`; gives the code. */
int sos_child_ended(struct sos_child *child, struct sos_error *error);

/* Make `data` the contents of the memfd `fd` that is the child's FILE port `target`. */
int sos_child_put(struct sos_child *child, uint32_t target, int fd, const void *data, size_t length,
		  struct sos_error *error);
int sos_child_signal(struct sos_child *child, int signal, enum sos_frame_scope scope, struct sos_error *error);
/* Whether sos-init has a process of it now; its end, if it had one, shows in sos_child_look by then. */
int sos_child_lives(struct sos_child *child, bool *lives, struct sos_error *error);
int sos_child_reap(struct sos_child *child, int64_t elapsed_ns, uint32_t last, struct sos_error *error);
/* The idle clock stands still while a command runs. Sends nothing unless the sandbox has an idle timeout. */
void sos_child_busy(struct sos_child *child, bool busy);

/* A pipe whose both ends are close-on-exec; `size` 0: the system's. The library's end (`[0]` if we read) is
 * non-blocking. 0 or -errno. */
int sos_child_pipe(int fds[2], bool we_read, int size);
