/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the Engine is: DOCKER_HOST and its companions, read once. */

#include <stdbool.h>

#include <sos/sos.h>

struct sos_address {
	char *text;        /* as given, for messages */
	char *socket_path; /* unix:// only */
	char *base_url;    /* "http://docker", "https://host:2376"; no slash at its end */
	char *host;        /* of the Host field */
	bool tls;
	char *ca, *cert, *key; /* paths; tls only */
};

/* `address` NULL: DOCKER_HOST, then unix:///var/run/docker.sock. TCP is with TLS where DOCKER_TLS_VERIFY is not
 * empty, with ca.pem, cert.pem and key.pem of DOCKER_CERT_PATH, then of ~/.docker. INVALID, MEMORY. */
int sos_address_parse(const char *address, struct sos_address *parsed, struct sos_error *error);
void sos_address_clear(struct sos_address *address);

/* The error of a connection that can't be made, with what to do about it. `errnum` 0: not known; `message`: the
 * transport's own words. Returns SOS_ERROR_UNREACHABLE. */
int sos_address_unreachable(const struct sos_address *address, int errnum, const char *message,
			    struct sos_error *error);
