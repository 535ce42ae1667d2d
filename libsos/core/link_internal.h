/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The insides of a link, shared by link.c (state, calls, frames),
 * link_socket.c (the unix socket), link_attach.c (the attach stream) and
 * link_relay.c (what goes over it).
 *
 * Connections are made, read and closed on the loop's thread only. `lock`
 * guards everything that callers' threads share with it. Order: link, then
 * loop; sos_loop_remove is never called with the link's lock from another
 * thread than the loop's. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/child.h"
#include "core/link_call.h"
#include "core/loop.h"

#define SOS_LINK_PARKED 8

/* Files of the session in the socket's directory. */
#define SOS_LINK_TEXT "bash" /* parse errors name it */
#define SOS_LINK_RETURN "return"

struct sos_attach;

enum sos_link_state {
	SOS_LINK_WAITING, /* for the first hello */
	SOS_LINK_UP,
	SOS_LINK_DOWN,    /* was up; sos-init will dial again */
	SOS_LINK_ENDED
};

struct sos_link {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sos_loop *loop;
	struct sos_link_options options;
	enum sos_link_state state;
	bool no_socket;          /* sos-init said so, or its pid cannot be seen */
	bool lost_told;
	bool lost_possible;      /* a hello came: `lost` is meaningful */
	int waiter_fd;           /* an eventfd of sos_link_wait while it runs, else -1 */
	int end_code;
	char end_reason[200];
	uint32_t next_id, resume_id;
	struct sos_list calls;    /* struct call, on their callers' stacks */
	struct sos_list children; /* struct sos_child */
	bool idle_clock;
	int64_t grace_ms;
	char closing[32];         /* the reason of a CLOSING frame */

	/* The socket; the loop's thread, `conn.fd` also under the lock for sending. */
	char *directory;
	struct sos_watch listener, conn, pidfd;
	struct sos_timer kick;    /* runs judge() on the loop's thread */
	struct sos_timer grace;
	pid_t pid;
	struct {
		int fd;
		pid_t pid;
	} parked[SOS_LINK_PARKED];

	struct sos_attach *attach; /* NULL: none */
	bool attach_transport;
};

/* link.c, for the transports; on the loop's thread, without the lock. */
/* One frame came; `fd_count` descriptors with it were closed already. false: violation, link is being ended. */
bool sos_link_frame(struct sos_link *link, const struct sos_frame *frame, bool from_attach);
void sos_link_broken(struct sos_link *link);  /* the connection is gone, it may come back */
void sos_link_lost(struct sos_link *link, int code, const char *reason); /* it will not */
void sos_link_wake_children(struct sos_link *link); /* with the lock */
struct sos_child *sos_link_child(struct sos_link *link, uint32_t id); /* with the lock; NULL */
void sos_link_exited(struct sos_link *link, uint32_t id, int status); /* without the lock */

/* Send a frame: with the lock. 0, or -EAGAIN (full), or another negative errno. */
int sos_link_send(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count);

/* link_socket.c */
int sos_link_socket_open(struct sos_link *link, struct sos_error *error); /* directory, nonce, listener */
void sos_link_socket_judge(struct sos_link *link);  /* loop's thread: parked connections against the pid */
void sos_link_socket_drop(struct sos_link *link);   /* loop's thread: close the connection, listen again */
void sos_link_socket_free(struct sos_link *link);   /* any thread, without the lock */
int sos_link_socket_send(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count);

/* link_attach.c */
int sos_attach_new(struct sos_link *link, struct sos_engine_stream *stream, struct sos_attach **attach,
		   struct sos_error *error);
void sos_attach_free(struct sos_attach *attach); /* without the lock */
/* On the loop's thread, without the lock: the socket works, the stream beside it has nothing more to say. */
void sos_attach_hang_up(struct sos_attach *attach);
/* With the lock. */
int sos_attach_send(struct sos_attach *attach, const void *frame, size_t length);
/* link_relay.c. Before SPAWN is sent, without the lock: take over the container's ends of a child's ports. */
int sos_attach_ports(struct sos_attach *attach, uint32_t child, bool session, const struct sos_port *ports,
		     size_t port_count);
void sos_attach_forget(struct sos_attach *attach, uint32_t child); /* without the lock */
/* CREDIT, DATA and EXITED of a relayed child; the loop's thread, without the lock. false: violation. */
bool sos_attach_frame(struct sos_attach *attach, const struct sos_frame *frame);
