/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests on the real Engine share. Where a step that a test builds on
 * fails, the test program reports it and ends: nothing is skipped. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sos/sos.h>

#define IMAGE_BASH    "sos-test:bash"
#define IMAGE_BUSYBOX "sos-test:busybox"
#define IMAGE_NOSHELL "sos-test:noshell"
#define IMAGE_USER    "sos-test:user"

/* The transport named "socket", "attach" or "auto"; ends the program on another name. */
uint32_t harness_transport(const char *name);

/* A pool name of this process that was not given out before. */
const char *harness_name(void);

/* A pool that owns a unique name. With SOS_TEST_VERBOSE set its events are shown. */
struct sos_pool *harness_pool(uint32_t capacity, uint32_t transport);
/* The same from the caller's options, NULL fields and all. */
struct sos_pool *harness_pool_with(struct sos_pool_options *options);

/* A started sandbox of that image without a network. */
struct sos_sandbox *harness_start(struct sos_pool *pool, const char *image);
struct sos_sandbox *harness_start_spec(struct sos_pool *pool, const struct sos_sandbox_spec *spec);

/* Run in the session; the result is the caller's, who checks it. */
struct sos_result *harness_run(struct sos_sandbox *sandbox, const char *command);
struct sos_result *harness_exec(struct sos_sandbox *sandbox, const struct sos_exec_options *options);
/* Run in the session and report a point: exit code 0 and exactly this output. */
bool harness_expect(struct sos_sandbox *sandbox, const char *command, const char *output);

/* What makes a stop forget the sandbox. */
extern const struct sos_stop_options harness_forget;
/* Stop, forget and drop the reference; reports no point, but a failure ends the program. */
void harness_stop(struct sos_sandbox *sandbox);

/* How many containers the Engine has whose labels contain `label` ("name" or "name=value"); asks the Engine itself, not
 * the library. -1: it could not be asked. */
int harness_containers(const char *label);
/* Whether the Engine has a container of that id or name, in whatever state. */
bool harness_container_exists(const char *id);
/* Remove a container by the Engine, behind the library's back. */
bool harness_remove_container(const char *id);
/* How many networks it has with that label. */
int harness_networks(const char *label);
/* What it answers to GET, freed by the caller; NULL where that is not 200. */
char *harness_get(const char *path);
/* How many containers of that pool the Engine has. */
int harness_pool_containers(const char *pool_name);
/* Wait until `condition(data)`; false after `timeout_ms`. Looks every 10 ms: for what offers nothing to wait on. */
bool harness_wait(bool (*condition)(void *data), void *data, int64_t timeout_ms);

/* A state of a sandbox, waited for; false after 20 s. */
bool harness_wait_state(struct sos_sandbox *sandbox, uint32_t state);
uint32_t harness_state(struct sos_sandbox *sandbox);

/* Of this process. */
int harness_descriptors(void);
int harness_threads(void);
int64_t harness_resident_bytes(void);

int64_t harness_now_ms(void); /* monotonic */
