/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests to a server. The only includer of libcurl is client.c. One request
 * at a time; connections are kept. SIGINT, SIGTERM and SIGHUP end a request by
 * closing its connection, which is how the server learns that a waiting start
 * shall leave the queue. */

#include "bytes.h"
#include "cli.h"
#include "json.h"

#include <stdint.h>

/* While a request waits, this path is asked for about once a second. */
struct sos_watch {
	const char *path;
	void (*seen)(void *data, const cJSON *answer);
	void *data;
};

struct sos_request {
	const char *method;
	const char *path;              /* from the server's root: "/sandboxes" */
	const cJSON *body;             /* NULL: none */
	const struct sos_watch *watch; /* NULL: none */
	int64_t timeout_ms;            /* 0: none */
	size_t limit;                  /* of the answer; 0: 256 MiB */
	bool deaf;                     /* signals wait until it is over: give it a timeout */
};

struct sos_response {
	struct sos_bytes body;
	cJSON *json; /* NULL: the body is not JSON */
	long status; /* 0: no answer came */
	int signal;  /* that ended it; 0: none */
	bool sent;   /* the server may have read the request, answer or not */
};

/*
 * 0: the server did it. Otherwise an exit code, and the failure is kept: in the
 * server's words where it answered. A signal gives 128 + n and keeps no words.
 */
int sos_client_send(struct sos_cli *cli, const struct sos_request *request, struct sos_response *response);
void sos_response_free(struct sos_response *response);
#define SOS_AUTO_RESPONSE __attribute__((cleanup(sos_response_free)))

/* "/sandboxes/ID" and SUFFIX, with ID escaped; NULL (no memory). */
char *sos_client_path(const char *id, const char *suffix);
/* A path segment, escaped. */
char *sos_client_escape(const char *text);
/* The server's URL, once a request was made. */
const char *sos_client_url(struct sos_cli *cli);
void sos_client_free(struct sos_client *client);
