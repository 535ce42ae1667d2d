/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"

#include <stdlib.h>

#include "engine/request.h"
#include "util/error.h"
#include "util/guard.h"
#include "wire/base64.h"
#include "wire/percent.h"

static int archive_path(struct sos_engine *engine, const char *id, const char *path, struct sos_buffer *out)
{
	if (sos_request_begin_path(engine, out) < 0 || sos_buffer_append_string(out, "/containers/") < 0 ||
	    sos_percent_append(out, id, NULL) < 0 || sos_buffer_append_string(out, "/archive?path=") < 0)
		return -1;
	return sos_percent_append(out, path, "/");
}

int sos_engine_archive_put(struct sos_engine *engine, const char *id, const char *path, const void *tar, size_t length,
			   const struct sos_engine_call *call, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer url = SOS_BUFFER_INIT;
	if (archive_path(engine, id, path, &url) < 0)
		return sos_error_nomem(error);
	struct sos_transport_request request = {
		.method = "PUT",
		.path = url.data,
		.content_type = "application/x-tar",
		.body = tar,
		.body_length = length,
	};
	int r = sos_transport_request(sos_engine_transport(engine), &request, call, &answer, error);
	if (r < 0)
		return sos_error_prefix(error, r, "write \"%s\" into container \"%.12s\"", path, id);
	if (answer.status == 200)
		return 0;
	return sos_request_refused(&answer, answer.status == 404 ? SOS_ERROR_NOT_FOUND : SOS_ERROR_ENGINE, error,
				   "write \"%s\" into container \"%.12s\"", path, id);
}

/* base64 of {"name":"init","size":46000,"mode":493,"mtime":"...","linkTarget":""} */
static int read_size(const struct sos_buffer *header, int64_t *size)
{
	SOS_AUTO_FREE char *text = malloc(header->length / 4 * 3 + 2);
	ssize_t length = text && header->length ? sos_base64_decode(header->data, header->length, text) : -1;
	SOS_AUTO_JSON struct sos_json *json = length >= 0 ? sos_json_parse(text, (size_t)length) : NULL;
	if (!sos_json_get(json, "size"))
		return -1;
	*size = sos_json_get_integer(json, "size");
	return 0;
}

int sos_engine_archive_size(struct sos_engine *engine, const char *id, const char *path,
			    const struct sos_engine_call *call, int64_t *size, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer url = SOS_BUFFER_INIT;
	if (archive_path(engine, id, path, &url) < 0)
		return sos_error_nomem(error);
	struct sos_transport_request request = {
		.method = "HEAD",
		.path = url.data,
		.header = "X-Docker-Container-Path-Stat",
	};
	int r = sos_transport_request(sos_engine_transport(engine), &request, call, &answer, error);
	if (r < 0)
		return sos_error_prefix(error, r, "look for \"%s\" in container \"%.12s\"", path, id);
	if (answer.status == 404) /* an answer to HEAD has no words */
		return sos_error_set(error, SOS_ERROR_NOT_FOUND,
				     "look for \"%s\" in container \"%.12s\": not found (404)", path, id);
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "look for \"%s\" in container \"%.12s\"",
					   path, id);
	if (read_size(&answer.header, size) < 0)
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "look for \"%s\" in container \"%.12s\": the Engine's "
				     "X-Docker-Container-Path-Stat makes no sense",
				     path, id);
	return 0;
}
