/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control connection to the sos-init of one container, by socket or by
 * attach stream; the rest of core/ does not know which. Made before the
 * container is created, freed after it was removed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <sos/sos.h>

struct sos_engine_stream;
struct sos_link;
struct sos_loop;

struct sos_link_options {
	const char *directory;   /* ours alone, made by sos_link_new, removed by sos_link_free; NULL: no socket */
	uint8_t nonce[16];       /* in the directory's nonce file and in the container's SOS_NONCE */
	/* On the loop's thread. The container's init is gone for good: connection lost and not back within the
	 * grace, or it broke the protocol (`reason` says so), or it announced a clock that ran out
	 * ("lifetime", "idle", "lease"). Called once at most. */
	void (*lost)(void *data, int code, const char *reason);
	void *data;
};

int sos_link_new(struct sos_loop *loop, const struct sos_link_options *options, struct sos_link **link,
		 struct sos_error *error);
/* Ends every call on it with ENDED first; no call may start afterwards. NULL accepted. */
void sos_link_free(struct sos_link *link);

/* After create, before start: this stream is the container's attach stream; owned by the link from now on. With
 * socket_too false it is the transport; with true it only listens for sos-init's word that it found no socket. */
int sos_link_attach(struct sos_link *link, struct sos_engine_stream *stream, bool socket_too, struct sos_error *error);
/* After start: PID 1 of the container on the Engine's host. Parked connections are judged by it. */
void sos_link_set_pid(struct sos_link *link, pid_t pid);
/* Wait until sos-init has said hello. UNSUPPORTED: it cannot reach the socket (found no nonce; or its peer pid is 0):
 * use attach. DEADLINE, CANCELLED, LOST, ENDED. */
int sos_link_wait(struct sos_link *link, int64_t deadline, int cancel_fd, struct sos_error *error);

struct sos_link_setup {
	int64_t lifetime_ms, idle_timeout_ms, lease_ms; /* 0: off, lifetime excepted */
	const char *user;                    /* asked for, else the image's; "" root */
	const char *working_directory;       /* "" : the one sos-init was started in */
	const char *const *environment;      /* NULL-terminated; over the image's */
	const char *hostname;
	bool strict;                         /* children get no capability at all */
	bool network;                        /* block link-local addresses; else bring lo up and write /etc/hosts */
	const void *record;                  /* opaque, up to 64 KiB */
	size_t record_length;
};
/* Tell sos-init what it needs before the first shell; answers which shell the image has. */
enum sos_shell { SOS_SHELL_NONE = 0, SOS_SHELL_SH = 1, SOS_SHELL_BASH = 2 };
int sos_link_set_up(struct sos_link *link, const struct sos_link_setup *setup, int64_t deadline,
		    enum sos_shell *shell, struct sos_error *error);

/* A container that was set up for nobody in particular becomes somebody's. With an environment (NULL: unchanged) it
 * waits for sos-init's word, else nothing can be refused and nothing is waited for. */
struct sos_link_handover {
	int64_t lifetime_ms, idle_timeout_ms; /* from now; 0: off, lifetime excepted */
	const char *const *environment;       /* NULL-terminated; over the image's */
	const void *record;
	size_t record_length;
};
int sos_link_hand_over(struct sos_link *link, const struct sos_link_handover *handover, int64_t deadline,
		       struct sos_error *error);

/* Make every call that runs on the link and its sessions return `code` (ENDED or LOST) with that reason; later ones
 * too. Does not wait. */
void sos_link_end(struct sos_link *link, int code, const char *reason);
/* True once sos_link_end was called or `lost` was reported. */
bool sos_link_ended(struct sos_link *link);
