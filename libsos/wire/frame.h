/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Control frames between libsos and sos-init. Pure: bytes in, values out. Both
 * ends include this file; whatever comes from the other end is hostile.
 *
 * A frame is a header of 12 bytes and a payload, all little-endian:
 *
 *	u32 length    of the payload, at most SOS_FRAME_MAX
 *	u16 type      enum sos_frame_type
 *	u16 fds       descriptors that travel with it (socket only), at most SOS_FRAME_FDS
 *	u32 id        of the request that a reply answers, or of the child that it is about
 *
 * On the unix socket (SOCK_SEQPACKET) one packet is one frame, with its
 * descriptors as SCM_RIGHTS. On the attach stream frames follow each other as
 * bytes, fds is 0 and pipes are replaced by DATA, CREDIT and PUT frames.
 *
 * A string is u32 length and bytes, without NUL inside; a list is u32 count and
 * that many strings. A reader that runs off the payload's end fails as a whole.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOS_FRAME_HEADER 12u
#define SOS_FRAME_MAX (160u * 1024u) /* payload; fits a SOCK_SEQPACKET packet at the default SO_SNDBUF */
#define SOS_FRAME_DATA_MAX (32u * 1024u) /* bytes of stream in one DATA or PUT frame */
#define SOS_FRAME_FDS 8u
#define SOS_FRAME_LIST_MAX 4096u
#define SOS_FRAME_RECORD_MAX (64u * 1024u)
#define SOS_FRAME_WINDOW (256u * 1024u) /* unacknowledged DATA bytes a stream may have under way (attach) */
#define SOS_PROTOCOL_VERSION 1u

/* Where things are inside a container. */
#define SOS_INIT_PATH "/.sos/sos-init"
#define SOS_SOCKET_DIR "/.sos-ctl"
#define SOS_SOCKET_PATH SOS_SOCKET_DIR "/s"
#define SOS_NONCE_PATH SOS_SOCKET_DIR "/nonce" /* the nonce in hex, 32 characters; compared with SOS_NONCE */

enum sos_frame_type {
	/* init -> library */
	SOS_FRAME_HELLO = 1,     /* u32 version, u32 flags SOS_HELLO_*, u32 shell (enum sos_shell), u32 children,
				  * string nonce (hex), string record */
	SOS_FRAME_OK = 2,        /* reply; contents depend on the request */
	SOS_FRAME_ERROR = 3,     /* reply; u32 errno, string message */
	SOS_FRAME_EXITED = 4,    /* id child; u32 wait status, u64 user us, u64 system us, u64 max rss KiB. By attach it
				  * comes after all DATA that the child's pipes held when it was reaped. */
	SOS_FRAME_CLOSING = 5,   /* string reason: "lifetime", "idle", "lease", "terminated"; the container ends now */
	SOS_FRAME_NO_SOCKET = 6, /* attach stream only, as the first frame: no nonce, or the wrong one: I listen here */
	SOS_FRAME_DROPPED = 8,   /* asked for by RESUME, after that stream's DATA: id child; u32 target fd, u64 bytes that did
				  * not fit into init's buffer while nobody was connected */
	SOS_FRAME_CHILD = 7,     /* after RESUME without descriptors: id child; u32 pid, u32 kind, u32 count and as many
				  * u32 target fds; the library's ends of those pipes travel with it, in that order */

	/* library -> init; every one but DATA, CREDIT, PUT, BUSY and KEEPALIVE is answered by OK or ERROR */
	SOS_FRAME_SETUP = 16,    /* see struct sos_frame_setup; OK: u32 shell (enum sos_shell) */
	SOS_FRAME_SPAWN = 17,    /* id: new child's id, also the request's; see struct sos_frame_spawn; OK: u32 pid, but
				  * see SOS_SPAWN_NOTIFY */
	SOS_FRAME_SIGNAL = 18,   /* id request; u32 child, u32 signal, u32 scope SOS_SCOPE_*; OK */
	SOS_FRAME_REAP = 19,     /* id request; u32 child, u64 elapsed ns, u32 last: kill -9 what the session's command
				  * started (see SOS_FRAME_REAP below) until none is left; OK: u32 killed */
	SOS_FRAME_RENEW = 20,    /* id request; u64 lifetime ms left (0: unchanged), string record (empty: unchanged); OK */
	SOS_FRAME_BUSY = 21,     /* u32 1: a command runs, 0: the last one ended (the idle clock starts again) */
	SOS_FRAME_KEEPALIVE = 22,/* attach: every 10 s; its loss starts the lease */
	SOS_FRAME_RESUME = 23,   /* id request; u32 flags SOS_RESUME_*. CHILD frames unless HAS_FDS. Then, for each
				  * child, DATA of what was drained meanwhile and EXITED where due; at last OK */
	SOS_FRAME_FORGET = 24,   /* id request, 0: no answer; u32 child: close all descriptors kept for it; kill it if it
				  * lives; OK */

	SOS_FRAME_HANDOVER = 25, /* id request, 0: no answer; u64 lifetime ms from now, u64 idle timeout ms (0: off), u32 flags
				  * SOS_HANDOVER_*, string record, list of strings environment; OK. After a SETUP, on which
				  * it builds: user, directory and shell stay */

	/* both ways, attach (and DATA after RESUME by socket) */
	SOS_FRAME_DATA = 32,     /* id child; u32 target fd, bytes to the end of the payload; no bytes: end of file */
	SOS_FRAME_CREDIT = 33,   /* id child; u32 target fd, u32 bytes taken by the reader */
	SOS_FRAME_PUT = 34,      /* library -> init: id child; u32 target fd, u64 offset, bytes; replaces a FILE's contents
				  * from offset on and cuts it there. For a child that SPAWN has not made yet it makes
				  * the file, which that SPAWN then finds full (at most 8 such files wait) */
};

#define SOS_RESUME_HAS_FDS 0x1u /* I still have the descriptors; else send CHILD frames */
#define SOS_RESUME_DROPPED 0x2u /* I understand DROPPED */
#define SOS_HANDOVER_ENVIRONMENT 0x1u /* the list replaces the environment of SETUP */
#define SOS_HELLO_SET_UP 0x1u   /* SETUP was done on an earlier connection */
#define SOS_HELLO_SOCKET 0x2u   /* this connection is the socket; else attach */

enum sos_frame_scope {
	SOS_SCOPE_PROCESS = 0,    /* the child itself */
	SOS_SCOPE_GROUP = 1,      /* the child's process group */
	SOS_SCOPE_FOREGROUND = 2, /* the foreground group of its terminal, the child's own if there is none; SIGKILL is
				   * not sent to the shell's own group: the shell itself is in the foreground then */
	SOS_SCOPE_TREE = 3        /* standalone: its session and every descendant, again until none is left (SIGKILL) */
};

enum sos_frame_kind {
	SOS_KIND_SESSION = 1,   /* setsid, a terminal as controlling terminal (kept and drained by init), 24x80 */
	SOS_KIND_STANDALONE = 2 /* setsid, no terminal */
};

enum sos_frame_end {
	SOS_END_PASSED = 0, /* the next descriptor of the frame is the container's end of a pipe or a file */
	SOS_END_IN = 1,     /* attach: init makes a pipe, child reads, DATA frames come from the library. For a session
			     * (its commands) the pipe is one page and CREDIT is given when the child has *read* the
			     * bytes (the pipe is empty again): the library watches so whether the shell asks for more */
	SOS_END_OUT = 2,    /* attach: init makes a pipe, child writes, DATA frames go to the library */
	SOS_END_FILE = 3,   /* attach: init makes a memfd, filled by PUT frames */
	SOS_END_NULL = 4,   /* /dev/null, read and write */
	SOS_END_DUP = 5,    /* the same as an earlier target: `source` */
	SOS_END_CLOSED_IN = 6 /* an empty input: reading gives end of file at once */
};

struct sos_frame_fd {
	uint32_t target; /* the descriptor's number in the child */
	uint32_t end;    /* enum sos_frame_end */
	uint32_t source; /* DUP: an earlier target */
	uint32_t mode;   /* PASSED: 0 it is a pipe end of which init keeps a duplicate; 1 a file */
};

/* `elapsed` 0 (attach, where a frame may be long under way): since the last PUT at offset 0 for that child.
 * A session's REAP: children of the shell count as started by the command if they started less than `elapsed`
 * before now, or within the same clock tick and with a pid above `last` (the shell's $! before the command; 0: none);
 * descendants follow their ancestor below the shell; orphans in the shell's terminal session follow their process
 * group's leader if it lives, else their own start time. Sessions that descendants had made for themselves when a
 * SIGNAL was sent last follow the ancestor that they had then. */

struct sos_frame_string {
	const char *data;
	uint32_t length;
};

struct sos_frame_setup {
	uint64_t lifetime_ms, idle_timeout_ms, lease_ms; /* 0: off */
	uint32_t flags;              /* SOS_SETUP_* */
	struct sos_frame_string user, working_directory, hostname, record;
	const struct sos_frame_string *environment; /* "NAME=value" */
	uint32_t environment_count;
};
#define SOS_SETUP_STRICT 0x1u
#define SOS_SETUP_NETWORK 0x2u

struct sos_frame_spawn {
	uint32_t kind;               /* enum sos_frame_kind */
	uint32_t flags;              /* SOS_SPAWN_* */
	struct sos_frame_string path; /* "" : argv[0] looked up in PATH */
	const struct sos_frame_string *argv;
	uint32_t argc;
	const struct sos_frame_fd *fds;
	uint32_t fd_count;           /* at most 16 */
};
#define SOS_SPAWN_JUDGE 0x1u /* kill every process but init first, again until none is left; no LD_* in the environment */
/* By socket, for a standalone command: one more descriptor travels, the last, an eventfd of the library's. The end is
 * told there, and nowhere else: SOS_NOTIFY_END(status) is added to its value. No OK comes, and ERROR where the program
 * could not be started. Once the connection has broken the end is told by EXITED, as ever. */
#define SOS_SPAWN_NOTIFY 0x2u
#define SOS_NOTIFY_END(status) ((uint64_t)((uint32_t)(status) + 1u) << 32)
#define SOS_SPAWN_FDS_MAX 16u

struct sos_frame {
	uint16_t type;
	uint16_t fds;
	uint32_t id;
	const uint8_t *payload;
	uint32_t length;
};

/* Parse the frame at the start of `data`. >0: its size in bytes; 0: more bytes are needed; -1: a violation. */
int sos_frame_parse(const void *data, size_t length, struct sos_frame *frame);
void sos_frame_head(uint8_t head[SOS_FRAME_HEADER], uint16_t type, uint16_t fds, uint32_t id, uint32_t length);

/* Reading a payload. After the first failure `failed` stays set and every read gives zero or empty. */
struct sos_frame_reader {
	const uint8_t *data;
	size_t left;
	bool failed;
};
void sos_frame_reader_init(struct sos_frame_reader *reader, const struct sos_frame *frame);
uint32_t sos_frame_read_u32(struct sos_frame_reader *reader);
uint64_t sos_frame_read_u64(struct sos_frame_reader *reader);
struct sos_frame_string sos_frame_read_string(struct sos_frame_reader *reader);    /* NUL inside: failure */
struct sos_frame_string sos_frame_read_bytes(struct sos_frame_reader *reader);     /* NUL allowed */
/* Up to `max` strings into `strings`; gives their number. */
uint32_t sos_frame_read_list(struct sos_frame_reader *reader, struct sos_frame_string *strings, uint32_t max);
/* Nothing failed and nothing is left. */
bool sos_frame_read_done(const struct sos_frame_reader *reader);

/* Writing a frame into a caller's buffer: begin, put, end. Overflow sets `failed`. */
struct sos_frame_writer {
	uint8_t *data;
	size_t capacity, length;
	bool failed;
};
void sos_frame_begin(struct sos_frame_writer *writer, void *data, size_t capacity);
void sos_frame_put_u32(struct sos_frame_writer *writer, uint32_t value);
void sos_frame_put_u64(struct sos_frame_writer *writer, uint64_t value);
void sos_frame_put_bytes(struct sos_frame_writer *writer, const void *data, size_t length); /* with its length */
void sos_frame_put_raw(struct sos_frame_writer *writer, const void *data, size_t length);
void sos_frame_put_string(struct sos_frame_writer *writer, const char *string);
/* Fills the header in. The frame's size, or 0 if it did not fit. */
size_t sos_frame_end(struct sos_frame_writer *writer, uint16_t type, uint16_t fds, uint32_t id);

/* SETUP and SPAWN both ways. The parsed values point into the payload; lists go into the caller's arrays. */
size_t sos_frame_write_setup(void *data, size_t capacity, uint32_t id, const struct sos_frame_setup *setup);
bool sos_frame_read_setup(const struct sos_frame *frame, struct sos_frame_setup *setup,
			  struct sos_frame_string *environment, uint32_t environment_max);
size_t sos_frame_write_spawn(void *data, size_t capacity, uint32_t id, uint16_t fds, const struct sos_frame_spawn *spawn);
bool sos_frame_read_spawn(const struct sos_frame *frame, struct sos_frame_spawn *spawn, struct sos_frame_string *argv,
			  uint32_t argv_max, struct sos_frame_fd fd[SOS_SPAWN_FDS_MAX]);
