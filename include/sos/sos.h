/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SOS_SOS_H
#define SOS_SOS_H

/*
 * libsos: a sea of sandboxes for shell agents.
 *
 * A pool is a bounded set of containers on one Docker Engine. A sandbox is a
 * container with a persistent shell session; commands run in that session or
 * beside it. The Engine does life cycle only: commands travel over pipes that
 * the library and the shell share.
 *
 * THE CONTRACT
 *
 * Ownership. Whoever gets an object from a function named _new, _create, _get,
 * _find, _exec or _start owns one reference and gives it back with the _unref
 * or _free of that object. Those accept NULL. Strings and arrays that are
 * passed in are copied before the call returns. Strings and bytes that an
 * accessor returns belong to the object and live as long as it does.
 *
 * Failure. A function that can fail returns 0 or a negative enum sos_code. On
 * failure outputs are untouched and `error`, if it is not NULL, holds the code
 * and one line that says what failed and what to do; on success `error` is
 * untouched. A command that exits non-zero, runs into its time limit, loses
 * bytes to the output cap or ends the session is no failure: that is data in
 * its result.
 *
 * Threads. Objects are reference-counted, and any call may meet any other on
 * the same object, from any threads, but for the one that gives the last
 * reference back. Commands for one session queue in order of arrival; different
 * sandboxes never wait for each other; sos_sandbox_stop, _get_info and
 * sos_pool_list never wait for a command. sos_pool_free may meet calls that run:
 * it ends them. A pool that was freed and its sandboxes stay valid for whoever
 * has a reference; calls on them fail with ENDED, while results, infos and
 * trajectories are as good as before.
 *
 * Waiting. Every call that blocks has a deadline, its own or a documented
 * default, and takes a struct sos_cancel, which any thread may fire to make it
 * return CANCELLED. The exception is sos_pool_free, which is bounded by itself.
 *
 * Callbacks run on the thread named in their comment, with no lock held. They
 * may call any function but sos_pool_free and the last sos_pool_unref.
 *
 * The host process. A pool starts one thread that listens to its sandboxes and
 * a few that talk to the Engine; all block every signal. The library installs no
 * signal handler, raises no SIGPIPE, starts no process, changes no environment
 * variable, working directory, locale or umask, and prints nothing. It reads
 * DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, XDG_RUNTIME_DIR and HOME when
 * a pool is made. All its descriptors are close-on-exec. It keeps about eight
 * descriptors a sandbox and makes its sockets and locks under
 * $XDG_RUNTIME_DIR/sos, or /run/sos for root. After fork() the child may only
 * exec or _exit: it calls nothing of the library, not even _unref.
 *
 * Structures that a caller fills begin with their own size; use the _INIT
 * macros. Zero or NULL means the default in every field. Later releases append
 * fields and never change one.
 *
 * Text is UTF-8 where it is ours; commands and output are bytes, NUL excepted
 * in commands. Times are milliseconds and monotonic unless said otherwise.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ------------------------------------------------------------ */

enum sos_code {
	SOS_OK = 0,
	SOS_ERROR_INVALID = -1,      /* an argument is wrong; the message names it */
	SOS_ERROR_NOT_FOUND = -2,    /* no sandbox, session or exec of that id */
	SOS_ERROR_STATE = -3,        /* the sandbox is not in a state for this call */
	SOS_ERROR_MEMORY = -4,       /* out of memory */
	SOS_ERROR_SYSTEM = -5,       /* a system call failed; the message has errno */
	SOS_ERROR_UNREACHABLE = -6,  /* the Engine's socket: missing, refused, no permission, gone */
	SOS_ERROR_ENGINE = -7,       /* the Engine answered with an error, or with nonsense */
	SOS_ERROR_IMAGE = -8,        /* the image cannot be had: not found, or its pull failed */
	SOS_ERROR_SETUP = -9,        /* a setup command failed; output and code in the message */
	SOS_ERROR_DEADLINE = -10,    /* the call's own deadline passed */
	SOS_ERROR_CANCELLED = -11,   /* its sos_cancel was fired, sos_sandbox_cancel_start, or the pool closed */
	SOS_ERROR_FULL = -12,        /* the queue of waiting starts is full */
	SOS_ERROR_OWNED = -13,       /* another process owns a pool of this name */
	SOS_ERROR_ENDED = -14,       /* the sandbox was stopped while the call ran, or its pool is closed */
	SOS_ERROR_LOST = -15,        /* the container is gone, or broke the protocol */
	SOS_ERROR_LIMIT = -16,       /* a limit of this machine: descriptors, path length, disk */
	SOS_ERROR_UNSUPPORTED = -17  /* this image or Engine cannot do it: no shell, say */
};

/* Owned by the caller, filled by the library, never allocated. */
struct sos_error {
	int code;           /* enum sos_code */
	char message[1020]; /* one line, NUL-terminated, no newline at its end */
};

#define SOS_ERROR_INIT { 0, { 0 } }

/* The name of a code: "not-found". Never NULL. */
const char *sos_code_name(int code);

/* The library's version, "MAJOR.MINOR.PATCH". */
const char *sos_version(void);

/* ---- cancelling -------------------------------------------------------- */

/*
 * What ends a call that blocks, from elsewhere. One object may serve any number
 * of calls at once and one after the other; once fired it stays fired, and a
 * call that is given it then returns CANCELLED at once, having done nothing.
 * The caller keeps a reference until the calls have returned.
 */
struct sos_cancel;

/* One descriptor each. Errors: MEMORY, LIMIT, SYSTEM. */
int sos_cancel_new(struct sos_cancel **cancel, struct sos_error *error);
/* Any thread, any number of times; async-signal-safe. Does not wait for the calls to return. NULL accepted. */
void sos_cancel_fire(struct sos_cancel *cancel);
/* One more reference; gives its argument. */
struct sos_cancel *sos_cancel_ref(struct sos_cancel *cancel);
void sos_cancel_unref(struct sos_cancel *cancel);

/* ---- pool -------------------------------------------------------------- */

struct sos_pool;
struct sos_sandbox;
struct sos_result;
struct sos_trajectory;

enum sos_network {
	SOS_NETWORK_DEFAULT = 0, /* the pool's default; bridge if that says nothing */
	SOS_NETWORK_BRIDGE = 1,  /* the pool's own bridge, no traffic between sandboxes */
	SOS_NETWORK_NONE = 2     /* loopback only; the fastest start */
};

enum sos_streams {
	SOS_STREAMS_DEFAULT = 0,
	SOS_STREAMS_MERGED = 1,  /* one pipe: stdout and stderr together, exactly in the order written */
	SOS_STREAMS_SEPARATE = 2 /* two pipes: each exact, their order by arrival */
};

enum sos_profile {
	SOS_PROFILE_DEFAULT = 0,
	SOS_PROFILE_STANDARD = 1, /* root with a reduced capability set */
	SOS_PROFILE_STRICT = 2    /* no capabilities, user 65534, no network unless asked */
};

enum sos_transport {
	SOS_TRANSPORT_AUTO = 0,   /* socket where the Engine shares our file system, else attach */
	SOS_TRANSPORT_SOCKET = 1, /* pipes shared with the container; local Engines */
	SOS_TRANSPORT_ATTACH = 2  /* frames over the Engine's attach stream; any Engine */
};

/* Flags of struct sos_sandbox_spec. */
#define SOS_SANDBOX_NEW_PRIVILEGES 0x1u /* allow setuid programs: sudo in images needs it */

/*
 * What a sandbox shall be. Everything may be left zero.
 */
struct sos_sandbox_spec {
	size_t size;
	const char *image;                 /* reference; NULL: ubuntu:latest */
	const char *const *setup_commands; /* NULL-terminated; joined by " && ", run in the session */
	const char *const *environment;    /* NULL-terminated "NAME=value"; never in the container's configuration */
	const char *const *labels;         /* NULL-terminated "name=value" of the caller's own */
	const char *working_directory;     /* absolute; NULL: the image's */
	const char *user;                  /* name, uid, name:group or uid:gid; NULL: the image's */
	const char *runtime;               /* an Engine runtime: "runsc"; NULL: the Engine's default */
	int64_t memory_bytes;              /* memory and swap together; 0: 2 GiB; -1: no limit; at least 6 MiB */
	int64_t cpu_millis;                /* thousandths of a CPU; 0: no limit */
	int64_t pids_limit;                /* processes and threads; 0: 512; -1: no limit; at least 8 */
	int64_t lifetime_ms;               /* from start; 0: the pool's (1 hour); at most 30 days */
	int64_t idle_timeout_ms;           /* from the end of the last command; 0: off */
	uint32_t network;                  /* enum sos_network */
	uint32_t streams;                  /* enum sos_streams, of the session */
	uint32_t profile;                  /* enum sos_profile */
	uint32_t flags;                    /* SOS_SANDBOX_... */
};

#define SOS_SANDBOX_SPEC_INIT { sizeof(struct sos_sandbox_spec) }

enum sos_event_type {
	SOS_EVENT_POOL_READY = 1,      /* the Engine answered, leftovers are gone */
	SOS_EVENT_ENGINE_LOST = 2,     /* the Engine stopped answering; message says how */
	SOS_EVENT_LEFTOVER_REMOVED = 3,/* a container of an earlier process was removed */
	SOS_EVENT_CREATED = 4,
	SOS_EVENT_QUEUED = 5,
	SOS_EVENT_STARTED = 6,
	SOS_EVENT_START_FAILED = 7,
	SOS_EVENT_COMMAND = 8,         /* a command ended */
	SOS_EVENT_SESSION_ENDED = 9,   /* its shell exited or was lost */
	SOS_EVENT_EXPIRED = 10,        /* lifetime or idle timeout */
	SOS_EVENT_LOST = 11,           /* the container went away by itself */
	SOS_EVENT_STOPPED = 12,        /* its container is removed */
	SOS_EVENT_REMOVE_FAILED = 13,  /* will be tried again */
	SOS_EVENT_FALLBACK = 14,       /* the socket way does not work here; attach is used */
	SOS_EVENT_WARM_FAILED = 15,    /* a warm container could not be made, or died; told once until one succeeds */
	SOS_EVENT_WARM_READY = 16      /* one succeeded after that */
};

struct sos_event {
	size_t size;
	const char *sandbox_id; /* NULL for an event of the pool */
	const char *message;    /* one line */
	uint32_t type;          /* enum sos_event_type */
	int32_t code;           /* enum sos_code where something failed */
};

/* Runs on a thread of the pool or on the caller's. Must not block for long. */
typedef void (*sos_event_cb)(void *data, const struct sos_event *event);

enum sos_warm_policy {
	SOS_WARM_FIXED = 0,   /* as many warm containers as were set */
	SOS_WARM_ADAPTIVE = 1 /* no fewer, and more, also of other specs, as starts ask for them */
};

/* Containers to keep ready; see sos_pool_set_warm. */
struct sos_warm_spec {
	size_t size;
	const struct sos_sandbox_spec *spec; /* NULL: all defaults; its labels and clocks say nothing here */
	uint32_t count;
	uint32_t reserved;                   /* 0 */
};

/* Flags of struct sos_pool_options. */
#define SOS_POOL_LAZY 0x1u /* succeed without an Engine; keep trying, see sos_pool_ready */

struct sos_pool_options {
	size_t size;
	const char *engine;      /* unix:///path or tcp://host:port; NULL: DOCKER_HOST, then unix:///var/run/docker.sock */
	const char *name;        /* 1-64 of [a-zA-Z0-9_.-]; NULL: unique to this process and pool */
	const char *runtime_dir; /* sockets and locks; absolute, short; NULL: $XDG_RUNTIME_DIR/sos, for root /run/sos */
	const struct sos_sandbox_spec *defaults; /* for fields that a spec leaves zero (setup, environment, labels excepted); NULL: none */
	sos_event_cb event;      /* NULL: none */
	void *event_data;
	int64_t lease_ms;        /* containers end this long after their controller went away; 0: 60 s; 1 s to 1 day */
	uint32_t capacity;       /* containers at one time; 0: 10; at most 10000 */
	uint32_t queue_limit;    /* starts that may wait; 0: 1024 */
	uint32_t transport;      /* enum sos_transport */
	uint32_t flags;          /* SOS_POOL_... */
	int64_t timeout_ms;      /* of sos_pool_new itself; 0: 60 s, with SOS_POOL_LAZY 3 s */
	struct sos_cancel *cancel; /* of sos_pool_new itself; NULL: none */
	const struct sos_warm_spec *const *warm; /* NULL-terminated; NULL: none */
	uint32_t warm_policy;    /* enum sos_warm_policy */
	uint32_t engine_limit;   /* containers that the Engine makes at one time; 0: twice the cores; at most 256 */
};

#define SOS_POOL_OPTIONS_INIT { sizeof(struct sos_pool_options) }

/*
 * Make a pool and become the owner of its name on that Engine; containers that
 * an earlier owner of the name left behind are removed.
 * Errors: INVALID; UNREACHABLE, ENGINE (not with SOS_POOL_LAZY); OWNED: another
 * process has the name, the message has its pid; LIMIT: the capacity needs more
 * descriptors than RLIMIT_NOFILE allows, the message has the number; CANCELLED;
 * DEADLINE (not with SOS_POOL_LAZY); MEMORY, SYSTEM.
 * Engine: GET /version, GET /info, GET /containers/json, DELETE /containers/{id}.
 */
int sos_pool_new(const struct sos_pool_options *options, struct sos_pool **pool, struct sos_error *error);

/*
 * Stop every sandbox, remove every container and network of the pool, end its
 * threads, then give the caller's reference back. Waits at most 30 s; what the
 * Engine would not remove by then ends by its lease. Calls that still wait or
 * run on the pool and its sandboxes, on whatever thread, return: commands with
 * ENDED, starts with CANCELLED. Afterwards no callback runs any more. With
 * several references every holder may call it; the first does the work, the
 * others wait for it. NULL is accepted.
 */
void sos_pool_free(struct sos_pool *pool);

/* One more reference, for another holder of the pool; gives its argument. */
struct sos_pool *sos_pool_ref(struct sos_pool *pool);
/*
 * Give a reference back. Where others are left nothing else happens; the last
 * one does what sos_pool_free does. Sandboxes need none of these: as long as one
 * is referred to, its pool's memory is there. NULL is accepted.
 */
void sos_pool_unref(struct sos_pool *pool);

/*
 * End all running and waiting calls and refuse new ones, without waiting:
 * what a signal handler's thread calls before sos_pool_free. Any thread.
 */
void sos_pool_close(struct sos_pool *pool);

/*
 * Ask the Engine whether it answers; completes what a lazy pool has not done.
 * Waits at most `timeout_ms` (0: 5 s). `cancel` may be NULL. Returns 0, or the
 * reason: UNREACHABLE (not in time, too), ENGINE, OWNED, CANCELLED, ENDED (the
 * pool is closed), LIMIT, MEMORY, SYSTEM. Engine: GET /_ping.
 */
int sos_pool_ready(struct sos_pool *pool, int64_t timeout_ms, struct sos_cancel *cancel, struct sos_error *error);

struct sos_pool_stats {
	size_t size;          /* set by the caller */
	uint32_t capacity;
	uint32_t containers;  /* that exist now: starting, running, being removed */
	uint32_t starting;
	uint32_t running;
	uint32_t removing;
	uint32_t queued;      /* starts that wait for a slot */
	uint32_t sandboxes;   /* known, in whatever state */
	uint32_t transport;   /* enum sos_transport in use; AUTO: not known yet */
	uint32_t warm_ready;
	uint32_t warm_starting;
	uint64_t warm_hits;   /* starts that took a warm container */
	uint64_t warm_misses; /* starts of a warm spec that found none ready */
};

/* Fill `stats` up to its own size. Never fails, never waits for the Engine. */
void sos_pool_get_stats(struct sos_pool *pool, struct sos_pool_stats *stats);

/*
 * Keep `count` containers of `spec` ready from now on (0: none): started, connected, with a shell, the spec's setup
 * run. A start that one fits takes it and asks the Engine for nothing. It fits a sandbox of the same image, limits, user,
 * working directory, runtime, network, streams, profile and flags; environment, labels, lifetime and idle timeout are
 * given to it then. A spec with setup fits one whose setup begins with the same commands, and whose environment has
 * the spec's variables; the setup has run without those that it adds. One that was taken is never used again, and is
 * replaced at once. Warm containers hold slots, and yield them to starts that wait; they outlive no pool. What fails is
 * tried again, less and less often. Any thread; does not wait.
 * Errors: INVALID (count above capacity, or as sos_sandbox_create), LIMIT (64 specs), ENDED, MEMORY, SYSTEM.
 */
int sos_pool_set_warm(struct sos_pool *pool, const struct sos_sandbox_spec *spec, uint32_t count,
		      struct sos_error *error);

struct sos_warm_info {
	size_t size;
	const struct sos_sandbox_spec *spec; /* as it is in force; its environment is not shown */
	const char *const *environment_names;
	const char *failure;  /* why making one failed last; "" once one succeeds */
	uint64_t hits, misses;
	uint32_t count;       /* as set; 0: learned */
	uint32_t target;      /* as many are kept now */
	uint32_t ready, starting, busy; /* busy: handed over, and still there */
	int32_t failure_code; /* enum sos_code */
};

/* The warm specs, a snapshot. Errors: MEMORY. Never waits. */
struct sos_warm_list;
int sos_pool_get_warm(struct sos_pool *pool, struct sos_warm_list **list, struct sos_error *error);
size_t sos_warm_list_count(const struct sos_warm_list *list);
/* NULL beyond the end. */
const struct sos_warm_info *sos_warm_list_get(const struct sos_warm_list *list, size_t index);
void sos_warm_list_free(struct sos_warm_list *list);

/* ---- sandbox ------------------------------------------------------------ */

/*
 * Make a sandbox. No container is started and the Engine is not asked.
 * `spec` may be NULL. Errors: INVALID (the message names the field), MEMORY, ENDED.
 */
int sos_sandbox_create(struct sos_pool *pool, const struct sos_sandbox_spec *spec,
		       struct sos_sandbox **sandbox, struct sos_error *error);

/* One more reference; gives its argument. */
struct sos_sandbox *sos_sandbox_ref(struct sos_sandbox *sandbox);
/* Give a reference back. Does not stop anything: that is for sos_sandbox_stop or sos_pool_free. NULL accepted. */
void sos_sandbox_unref(struct sos_sandbox *sandbox);

/* Its id, a UUID in lower case. */
const char *sos_sandbox_id(const struct sos_sandbox *sandbox);

/* Find a sandbox by its id. Errors: NOT_FOUND, ENDED (the pool is freed). */
int sos_sandbox_find(struct sos_pool *pool, const char *id, struct sos_sandbox **sandbox, struct sos_error *error);

/* All sandboxes, oldest first: an array of `*count` references. Errors: MEMORY, ENDED (the pool is freed). */
int sos_pool_list(struct sos_pool *pool, struct sos_sandbox ***sandboxes, size_t *count, struct sos_error *error);
void sos_sandbox_list_free(struct sos_sandbox **sandboxes, size_t count);

enum sos_phase {
	SOS_PHASE_QUEUED = 1,  /* current: place in the queue, from 1 */
	SOS_PHASE_PULLING = 2, /* text: the Engine's words; current and total in bytes of that layer */
	SOS_PHASE_STARTING = 3,
	SOS_PHASE_SETUP = 4
};

struct sos_progress {
	size_t size;
	const char *text; /* one line; "" where there is nothing to say */
	int64_t current;
	int64_t total;    /* 0: not known */
	uint32_t phase;   /* enum sos_phase */
	uint32_t reserved;
};

/* Runs on the thread that called sos_sandbox_start. */
typedef void (*sos_progress_cb)(void *data, const struct sos_progress *progress);

struct sos_start_options {
	size_t size;
	sos_progress_cb progress; /* NULL: none */
	void *progress_data;
	int64_t queue_timeout_ms; /* for a slot; 0: wait for ever; negative: do not wait */
	int64_t timeout_ms;       /* for the whole start, pull and setup included; 0: 10 minutes */
	struct sos_cancel *cancel; /* NULL: none; does what sos_sandbox_cancel_start does */
};

#define SOS_START_OPTIONS_INIT { sizeof(struct sos_start_options) }

/*
 * Start the container: wait for a slot first come first served, pull the image
 * if it is not there, start the session, run the setup commands. Returns when
 * the session can take commands. `options` may be NULL. After a failure nothing
 * is left running and the sandbox can be started again.
 * Errors: STATE (started already, or stopped), FULL, DEADLINE, CANCELLED,
 * ENDED (stopped meanwhile, or the pool is closed), IMAGE, SETUP, UNREACHABLE, ENGINE, LOST, LIMIT, MEMORY, SYSTEM.
 * Engine: POST /images/create, /volumes/create, /networks/create,
 * /containers/create, /containers/{id}/start, GET /containers/{id}/json.
 */
int sos_sandbox_start(struct sos_sandbox *sandbox, const struct sos_start_options *options, struct sos_error *error);

/* Make a start of this sandbox that waits or runs return CANCELLED. Any thread. */
void sos_sandbox_cancel_start(struct sos_sandbox *sandbox);

/* Flags of struct sos_stop_options. */
#define SOS_STOP_FORGET 0x1u /* once it is stopped the id is unknown, the trajectory gone */

struct sos_stop_options {
	size_t size;
	struct sos_cancel *cancel; /* NULL: none */
	int64_t timeout_ms;        /* 0: 30 s */
	uint32_t flags;            /* SOS_STOP_... */
	uint32_t reserved;         /* 0 */
};

#define SOS_STOP_OPTIONS_INIT { sizeof(struct sos_stop_options) }

/*
 * End the sandbox and remove its container. A running command ends with ENDED.
 * Returns when the container is gone. If it is not by the deadline (DEADLINE, the
 * message has the Engine's last words) or `cancel` is fired (CANCELLED), removal
 * goes on in the background, nothing is forgotten, and the call may be repeated
 * to wait on. Stopping what is stopped or was never started is no error.
 * `options` may be NULL. Errors: INVALID, DEADLINE, CANCELLED; UNREACHABLE,
 * ENGINE: the pool was freed and gave up, its lease ends it; STATE: called in a
 * callback of the start that it ends; LIMIT.
 * Engine: DELETE /containers/{id}?force=1&v=1.
 */
int sos_sandbox_stop(struct sos_sandbox *sandbox, const struct sos_stop_options *options, struct sos_error *error);

enum sos_state {
	SOS_STATE_CREATED = 1,
	SOS_STATE_QUEUED = 2,   /* waits for a slot */
	SOS_STATE_PULLING = 3,
	SOS_STATE_STARTING = 4,
	SOS_STATE_STARTED = 5,  /* the session takes commands */
	SOS_STATE_EXITED = 6,   /* the session's shell ended by itself; standalone commands work */
	SOS_STATE_SESSION_LOST = 7, /* we ended the shell; standalone commands work */
	SOS_STATE_STOPPING = 8,
	SOS_STATE_STOPPED = 9,
	SOS_STATE_LOST = 10     /* the container went away by itself; reason says why */
};

/* "created", "queued", ... Never NULL. */
const char *sos_state_name(int state);

/* Everything known of a sandbox at one moment. Freed by sos_sandbox_info_free. */
struct sos_sandbox_info {
	size_t size;
	const char *id;
	const char *image;
	const char *const *setup_commands; /* NULL-terminated */
	const char *const *labels;         /* NULL-terminated "name=value" */
	const char *const *environment_names; /* NULL-terminated; values are never shown */
	const char *reason;                /* why it is in this state; "" if there is nothing to say */
	const char *container_id;          /* "" without a container */
	const char *container_name;        /* "" without a container */
	const char *working_directory;     /* "" : the image's */
	const char *user;                  /* "" : the image's */
	const char *runtime;               /* "" : the Engine's default */
	const char *shell;                 /* "bash", "sh", "none"; "" before start */
	int64_t created_unix_ms;           /* wall clock, milliseconds since 1970 */
	int64_t started_unix_ms;           /* 0: not started */
	int64_t expires_unix_ms;           /* 0: not started */
	int64_t memory_bytes;              /* -1: no limit */
	int64_t cpu_millis;                /* 0: no limit */
	int64_t pids_limit;                /* -1: no limit */
	int64_t lifetime_ms;
	int64_t idle_timeout_ms;           /* 0: off */
	uint64_t session_commands;         /* that ended, setup not counted */
	uint32_t state;                    /* enum sos_state */
	uint32_t queue_position;           /* from 1; 0: not in the queue */
	uint32_t network;                  /* enum sos_network */
	uint32_t streams;                  /* enum sos_streams */
	uint32_t profile;                  /* enum sos_profile */
	uint32_t transport;                /* enum sos_transport; AUTO: not started */
	uint32_t flags;                    /* SOS_SANDBOX_... */
	uint32_t session_busy;             /* 1 while a session command runs */
	uint32_t has_standalone_exit_code; /* 1 once a standalone command ended */
	int32_t last_standalone_exit_code;
};

/* Errors: MEMORY. Never waits for the Engine or for a command. */
int sos_sandbox_get_info(struct sos_sandbox *sandbox, struct sos_sandbox_info **info, struct sos_error *error);
void sos_sandbox_info_free(struct sos_sandbox_info *info);

/* ---- commands ----------------------------------------------------------- */

/* Flags of struct sos_exec_options. */
#define SOS_EXEC_STANDALONE 0x1u /* a process of its own, outside the session */
#define SOS_EXEC_JUDGE      0x2u /* standalone; every other process of the sandbox is killed first */

struct sos_exec_options {
	size_t size;
	const char *command;       /* shell text, or NULL with argv */
	size_t command_length;     /* bytes; 0: strlen(command); at most 64 MiB */
	const char *const *argv;   /* standalone only: NULL-terminated, run without a shell */
	const void *stdin_data;    /* standalone only; NULL: empty */
	size_t stdin_length;       /* bytes */
	const char *exec_id;       /* 1-128 of [a-zA-Z0-9_.:-]; NULL: generated. The same id for the same command
				    * again gives the same result, for another one INVALID */
	int64_t timeout_ms;        /* 0: none */
	int64_t max_output_bytes;  /* kept of each stream, the first ones; 0: 8 MiB; at most 1 GiB */
	uint32_t flags;            /* SOS_EXEC_... */
	uint32_t streams;          /* enum sos_streams; standalone only */
	int64_t queue_timeout_ms;  /* for its turn in the session; 0: wait for ever; negative: do not wait */
	struct sos_cancel *cancel; /* NULL: none */
};

#define SOS_EXEC_OPTIONS_INIT { sizeof(struct sos_exec_options) }

/*
 * Run a command and wait for its end. In the session it waits for the commands
 * before it. A command that runs into `timeout_ms` is interrupted, killed if it
 * must be, and its result says timed_out; the session goes on.
 * The session's shell ending is data too: exited or session_lost.
 * Fired while the command waits for its turn, `cancel` takes it out of the queue:
 * it was not run. While it runs, it is interrupted as by a time limit, and the
 * call returns CANCELLED once the command has ended; the result, which says
 * cancelled, is in the trajectory and to be had by its exec_id. A call that
 * shares the exec_id of one that runs only stops waiting for it.
 * Errors: INVALID (empty argv, NUL in the command with its position, judge in
 * the session), STATE (not started, session over), UNSUPPORTED (no shell in the
 * image), DEADLINE (its turn did not come in time: it was not run), CANCELLED,
 * ENDED, LOST, LIMIT, MEMORY, SYSTEM. Engine: none.
 */
int sos_sandbox_exec(struct sos_sandbox *sandbox, const struct sos_exec_options *options,
		     struct sos_result **result, struct sos_error *error);

/* The short form: a session command with all defaults. */
int sos_sandbox_run(struct sos_sandbox *sandbox, const char *command, struct sos_result **result, struct sos_error *error);

/*
 * The result of the exec with that id, waiting up to `wait_ms` (negative: for
 * ever) for its end. The last 64 of a sandbox are kept, up to 16 MiB together.
 * `cancel` (may be NULL) ends the wait, not the command.
 * Errors: NOT_FOUND, DEADLINE (still running), CANCELLED, ENDED, LOST, LIMIT.
 */
int sos_sandbox_get_result(struct sos_sandbox *sandbox, const char *exec_id, int64_t wait_ms,
			   struct sos_cancel *cancel, struct sos_result **result, struct sos_error *error);

/* A result is immutable; any thread may read it. */
struct sos_result *sos_result_ref(struct sos_result *result);
void sos_result_unref(struct sos_result *result);

/* Bytes as written, NUL-terminated beyond `*length` for convenience. `length` may be NULL. */
const char *sos_result_output(const struct sos_result *result, size_t *length);     /* merged: all; separate: order of arrival */
const char *sos_result_stdout(const struct sos_result *result, size_t *length);     /* merged: the same bytes as output */
const char *sos_result_stderr(const struct sos_result *result, size_t *length);     /* merged: empty */
/* What background jobs wrote since the command before; at most 64 KiB, the newest. */
const char *sos_result_background(const struct sos_result *result, size_t *length);

int sos_result_exit_code(const struct sos_result *result);   /* 0-255; 128+n for signal n */
int sos_result_signal(const struct sos_result *result);      /* standalone: the signal that ended it; 0: none */
int sos_result_exited(const struct sos_result *result);      /* 1: the shell ended by itself, exit_code is its code */
int sos_result_timed_out(const struct sos_result *result);
int sos_result_cancelled(const struct sos_result *result);   /* 1: interrupted because its call was cancelled */
int sos_result_session_lost(const struct sos_result *result);/* 1: the shell lost step or did not come back; we ended it */
int sos_result_standalone(const struct sos_result *result);
uint64_t sos_result_dropped_bytes(const struct sos_result *result); /* beyond the cap, both streams together */
uint64_t sos_result_dropped_stdout(const struct sos_result *result);
uint64_t sos_result_dropped_stderr(const struct sos_result *result);
uint64_t sos_result_dropped_background(const struct sos_result *result);
int64_t sos_result_duration_ns(const struct sos_result *result); /* wall time */
uint64_t sos_result_sequence(const struct sos_result *result);   /* of this session's commands; 0 for standalone */
const char *sos_result_exec_id(const struct sos_result *result);

/* ---- trajectory --------------------------------------------------------- */

struct sos_trajectory_entry {
	size_t size;
	const char *command;
	size_t command_length;
	const struct sos_result *result; /* belongs to the trajectory */
	uint64_t index;                  /* from 0 */
	int64_t timestamp_ms;            /* when the command was given, since start */
};

/*
 * The session's commands so far, in order, setup excepted: a snapshot. Output of
 * the oldest is dropped (and counted as dropped) where a sandbox's trajectory
 * would keep more than 32 MiB. Errors: MEMORY.
 */
int sos_sandbox_get_trajectory(struct sos_sandbox *sandbox, struct sos_trajectory **trajectory, struct sos_error *error);
void sos_trajectory_free(struct sos_trajectory *trajectory);
size_t sos_trajectory_count(const struct sos_trajectory *trajectory);
/* Entry `index`; NULL beyond the end. */
const struct sos_trajectory_entry *sos_trajectory_get(const struct sos_trajectory *trajectory, size_t index);

#ifdef __cplusplus
}
#endif

#endif
