/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What all requests share, and the way of a request to its route. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "auth.h"
#include "options.h"

struct sos_fields;
struct sos_http;
struct sos_request;

struct sos_server {
	const struct sos_options *options;
	struct sos_auth auth;
	struct sos_http *http;
	_Atomic(struct sos_pool *) pool; /* NULL until it is made */
	atomic_bool closing;
	atomic_uint blocked;   /* requests that wait for a command, a start or a stop */
	atomic_uint occupied;  /* threads of the HTTP end that such requests have */
	unsigned places;       /* for requests that wait */
	unsigned threads;      /* of the HTTP end */
};

/* Threads of the HTTP end that are kept for requests that do not wait: list, health, and to read heads and bodies. */
#define SOS_SERVER_RESERVE 48
/* Places that only stops may take. */
#define SOS_SERVER_STOP_PLACES 12

/* Fill in `places` and `threads`. */
void sos_server_size(struct sos_server *server);
/* The HTTP end's handler. */
void sos_server_handle(void *server, struct sos_request *request);

/* Before and after what may take long. False: too many do, or too many on its sandbox; refused with a reply. */
bool sos_server_enter_wait(struct sos_request *request);
/* The same for a stop: it frees what others wait for, so there is room for some when nothing else may wait. */
bool sos_server_enter_stop(struct sos_request *request);
void sos_server_leave_wait(struct sos_request *request);

/* How many requests may be reading their bodies now; `request` is one that wants to. */
unsigned sos_server_body_limit(const struct sos_request *request);

/* The sandbox that the path's second segment names; NULL: refused with a reply. */
struct sos_sandbox *sos_server_find(struct sos_request *request);

/* sandboxes.c: what a sandbox shall be. */
void sos_spec_read(struct sos_fields *fields, struct sos_sandbox_spec *spec);

/* Routes: one function each, in the file of its resource. */
void sos_route_create(struct sos_request *request);
void sos_route_list(struct sos_request *request);
void sos_route_get(struct sos_request *request);
void sos_route_start(struct sos_request *request);
void sos_route_stop(struct sos_request *request);
void sos_route_delete(struct sos_request *request);
void sos_route_exec(struct sos_request *request);
void sos_route_get_result(struct sos_request *request);
void sos_route_trajectory(struct sos_request *request);
void sos_route_trajectory_formatted(struct sos_request *request);
void sos_route_pool(struct sos_request *request);
void sos_route_pool_warm(struct sos_request *request);
void sos_route_healthz(struct sos_request *request);
void sos_route_readyz(struct sos_request *request);
