/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What images, containers, volumes and networks share: paths with the
 * negotiated version, bodies and answers in JSON, the Engine's own words in
 * our errors. */

#include "engine/engine.h"
#include "engine/json.h"
#include "engine/transport.h"

struct sos_transport_client *sos_engine_transport(struct sos_engine *engine);

/* Begins `path` with the API's version: "/v1.41", or nothing before sos_engine_connect. 0 or -1. */
int sos_request_begin_path(struct sos_engine *engine, struct sos_buffer *path);

/* A request whose path is "/v1.41" and then the pieces in order: literal, escaped, literal ... up to NULL. With `body`
 * not NULL it is JSON. `answer` is cleared first. */
int sos_request_run(struct sos_engine *engine, const char *method, const struct sos_buffer *body,
		    const struct sos_engine_call *call, struct sos_transport_answer *answer, struct sos_error *error,
		    ... /* const char * */) __attribute__((sentinel));

/* The error of an answer that is not a success: "WHAT: the Engine's words (404)". Returns `code`. */
int sos_request_refused(const struct sos_transport_answer *answer, int code, struct sos_error *error, const char *what,
			...) __attribute__((format(printf, 4, 5)));
/* The Engine's words of an answer contain `text`; case counts. */
bool sos_request_says(const struct sos_transport_answer *answer, const char *text);

/* The answer's body; ENGINE when it is not JSON. NULL then. */
struct sos_json *sos_request_json(const struct sos_transport_answer *answer, struct sos_error *error);

/* {"label":["a","b=c"]} */
int sos_request_label_filter(struct sos_buffer *buffer, const char *const *labels);
/* "Labels": {...} */
void sos_request_put_labels(struct sos_json_writer *writer, const struct sos_engine_pair *labels);
