/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Docker Engine, as much of it as we need: life cycle, never commands.
 * Every function blocks and may be called from any thread; one struct
 * sos_engine serves all of them. Errors are SOS_ERROR_UNREACHABLE (the socket
 * is missing, refused, forbidden, gone in the middle), SOS_ERROR_ENGINE (the
 * Engine's own words), SOS_ERROR_NOT_FOUND (404), SOS_ERROR_IMAGE,
 * SOS_ERROR_DEADLINE, SOS_ERROR_CANCELLED, SOS_ERROR_MEMORY. This folder is the
 * only place that knows where a container runs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <sos/sos.h>

struct sos_engine;

/* How long a call may take and what ends it early. */
struct sos_engine_call {
	int64_t deadline; /* sos_clock, SOS_CLOCK_NEVER allowed */
	int cancel_fd;    /* becomes readable (and stays so): the call returns CANCELLED; -1: none */
	/* A cancel that comes once the request is under way takes effect only so long after: for calls whose outcome
	 * must be known, since the Engine goes on with them. 0: at once. */
	int64_t patience_ms;
};

/* `address` NULL: DOCKER_HOST (with DOCKER_TLS_VERIFY, DOCKER_CERT_PATH), then
 * unix:///var/run/docker.sock. No I/O. */
int sos_engine_new(const char *address, struct sos_engine **engine, struct sos_error *error);
void sos_engine_free(struct sos_engine *engine);
const char *sos_engine_address(const struct sos_engine *engine); /* as given: "unix:///var/run/docker.sock" */
bool sos_engine_is_local(const struct sos_engine *engine);       /* reached by a unix socket */

struct sos_engine_facts {
	char id[128];          /* of GET /info; stable over restarts */
	char version[64];
	char api_version[16];  /* negotiated */
	char architecture[32];
	char cgroup_version[8];
	bool has_runtime_runsc;
	bool has_pids_limit, has_memory_limit, has_swap_limit, has_cpu_quota;
	char warnings[256];
};

/* GET /version, GET /info; negotiates the API version for all later calls. Repeatable. */
int sos_engine_connect(struct sos_engine *engine, const struct sos_engine_call *call,
		       struct sos_engine_facts *facts, struct sos_error *error);
/* GET /_ping */
int sos_engine_ping(struct sos_engine *engine, const struct sos_engine_call *call, struct sos_error *error);

/* ---- images ---- */

struct sos_engine_image {
	char *id;
	char *user;              /* Config.User, "" if none */
	char *working_directory; /* Config.WorkingDir, "" if none */
	char **environment;      /* Config.Env, NULL-terminated */
	bool has_healthcheck;
};
void sos_engine_image_clear(struct sos_engine_image *image);
/* GET /images/{name}/json; NOT_FOUND when it is not there. */
int sos_engine_image_inspect(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			     struct sos_engine_image *image, struct sos_error *error);
typedef void (*sos_engine_pull_cb)(void *data, const char *text, int64_t current, int64_t total);
/* POST /images/create?fromImage&tag; the stream's own errors (200 with an error inside) are IMAGE errors. */
int sos_engine_image_pull(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			  sos_engine_pull_cb progress, void *data, struct sos_error *error);

/* ---- containers ---- */

struct sos_engine_pair { const char *name, *value; };

struct sos_engine_container_spec {
	const char *name;
	const char *image;
	const char *const *entrypoint;          /* NULL-terminated */
	const char *const *environment;         /* NULL-terminated, added to the image's; may be NULL */
	const struct sos_engine_pair *labels;   /* ended by name NULL */
	const char *user;                       /* "0:0" */
	const char *runtime;                    /* NULL: default */
	const char *volume, *volume_target;     /* named volume, mounted read-only, NoCopy; NULL: none */
	const char *bind_source, *bind_target;  /* directory mounted read-only with Mounts type bind; NULL: none */
	const char *network;                    /* network id or name; NULL: "NetworkDisabled": true */
	const char *const *cap_add, *const *cap_drop; /* NULL-terminated */
	int64_t memory_bytes;                   /* memory = memory+swap; 0: none */
	int64_t nano_cpus;                      /* 0: none */
	int64_t pids_limit;                     /* 0: none */
	bool no_new_privileges;
	bool auto_remove;
	bool open_stdin;                        /* OpenStdin, not StdinOnce, AttachStdin/out/err */
	bool volume_writable;                   /* for the helper that fills it: archive_put into a read-only one is refused */
};
/* POST /containers/create (Cmd empty, Healthcheck NONE, log driver none, Tty false). `id` is malloc'd.
 * Image missing: SOS_ERROR_IMAGE. A bind source that the Engine does not have: SOS_ERROR_UNSUPPORTED.
 * Name conflict: SOS_ERROR_OWNED. */
int sos_engine_container_create(struct sos_engine *engine, const struct sos_engine_container_spec *spec,
				const struct sos_engine_call *call, char **id, struct sos_error *error);
/* POST /containers/{id}/start */
int sos_engine_container_start(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			       struct sos_error *error);
/* DELETE /containers/{id}?force=1&v=1; 404 is done, "already in progress" waits for its end. */
int sos_engine_container_remove(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
				struct sos_error *error);

struct sos_engine_container {
	char *id, *name;
	struct sos_engine_pair *labels; /* owned, ended by name NULL; only from list */
	char *state;                    /* "created", "running", "exited", ... */
	char *error;                    /* State.Error; inspect only */
	pid_t pid;                      /* on the Engine's host; 0: not running; inspect only */
	int exit_code;                  /* inspect only */
	bool running, oom_killed;       /* inspect only */
};
void sos_engine_container_clear(struct sos_engine_container *container);
/* GET /containers/{id}/json */
int sos_engine_container_inspect(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
				 struct sos_engine_container *container, struct sos_error *error);
/* GET /containers/json?all=1&filters={"label":[...]}; `label` "name=value" or "name". */
int sos_engine_container_list(struct sos_engine *engine, const char *const *labels, const struct sos_engine_call *call,
			      struct sos_engine_container **containers, size_t *count, struct sos_error *error);
void sos_engine_container_list_free(struct sos_engine_container *containers, size_t count);

/* PUT /containers/{id}/archive?path= : `tar` bytes are unpacked below `path`. */
int sos_engine_archive_put(struct sos_engine *engine, const char *id, const char *path, const void *tar, size_t length,
			   const struct sos_engine_call *call, struct sos_error *error);
/* HEAD /containers/{id}/archive?path= : the file's size, from X-Docker-Container-Path-Stat; NOT_FOUND. */
int sos_engine_archive_size(struct sos_engine *engine, const char *id, const char *path,
			    const struct sos_engine_call *call, int64_t *size, struct sos_error *error);

/* ---- volumes and networks ---- */

/* POST /volumes/create; existing is success. */
int sos_engine_volume_create(struct sos_engine *engine, const char *name, const struct sos_engine_pair *labels,
			     const struct sos_engine_call *call, struct sos_error *error);
/* DELETE /volumes/{name}; 404 is success. */
int sos_engine_volume_remove(struct sos_engine *engine, const char *name, const struct sos_engine_call *call,
			     struct sos_error *error);
/* POST /networks/create: bridge, CheckDuplicate, com.docker.network.bridge.enable_icc=false. `id` is malloc'd.
 * A network of that name that is there already is success and its id is given. */
int sos_engine_network_create(struct sos_engine *engine, const char *name, const struct sos_engine_pair *labels,
			      const struct sos_engine_call *call, char **id, struct sos_error *error);
/* DELETE /networks/{id}; 404 is success. */
int sos_engine_network_remove(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			      struct sos_error *error);
/* GET /networks?filters={"label":[...]}: an array of `*count` malloc'd ids. */
int sos_engine_network_list(struct sos_engine *engine, const char *const *labels, const struct sos_engine_call *call,
			    char ***ids, size_t *count, struct sos_error *error);

/* ---- attach ---- */

/* The attach stream of a non-TTY container: what is written goes to stdin, what
 * is read is its demultiplexed stdout; stderr's bytes are given apart. */
struct sos_engine_stream;
/* POST /containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1, before start; accepts 101 and 200,
 * keeps bytes glued to the head. */
int sos_engine_attach(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
		      struct sos_engine_stream **stream, struct sos_error *error);
void sos_engine_stream_free(struct sos_engine_stream *stream);
int sos_engine_stream_fd(const struct sos_engine_stream *stream); /* to poll; read until EAGAIN before polling again */
/* Non-blocking. Bytes read, 0 at the end, -EAGAIN, or another negative errno (-EPROTO: bad framing).
 * `*is_stderr` says whose bytes they are. */
ssize_t sos_engine_stream_read(struct sos_engine_stream *stream, void *data, size_t length, bool *is_stderr);
/* Non-blocking. Bytes written, -EAGAIN, or another negative errno. One thread may read while another writes. */
ssize_t sos_engine_stream_write(struct sos_engine_stream *stream, const void *data, size_t length);
