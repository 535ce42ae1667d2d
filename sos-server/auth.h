/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may ask: the Host against names that point here by a stranger's DNS, the
 * Origin against web pages, the token against everybody else. */

#include <stdbool.h>
#include <stddef.h>

struct sos_options;
struct sos_request;

struct sos_auth {
	const struct sos_options *options;
	char *tokens; /* the file's bytes, cut into strings */
	const char **list;
	size_t count; /* 0: no token is needed */
};

/* Reads the token file. -1: `error` has one line. */
int sos_auth_new(struct sos_auth *auth, const struct sos_options *options, char *error, size_t error_size);
void sos_auth_clear(struct sos_auth *auth);

/* Each: false, the request was refused with a reply. An Origin that is allowed goes into the reply, and a
 * preflight is answered (which is false too). */
bool sos_auth_check_host(const struct sos_auth *auth, struct sos_request *request);
bool sos_auth_check_origin(const struct sos_auth *auth, struct sos_request *request);
bool sos_auth_check_token(const struct sos_auth *auth, struct sos_request *request);
