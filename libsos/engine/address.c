/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/address.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/error.h"

#define DEFAULT_ADDRESS "unix:///var/run/docker.sock"

static const char *setting(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static int parse_unix(const char *path, struct sos_address *a, struct sos_error *error)
{
	if (*path != '/')
		return sos_error_set(error, SOS_ERROR_INVALID,
				     "Engine address \"%s\": its path must be absolute, as in " DEFAULT_ADDRESS,
				     a->text);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return sos_error_set(error, SOS_ERROR_INVALID,
				     "Engine address \"%s\": its path is longer than a socket's may be (%zu bytes)",
				     a->text, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	a->socket_path = strdup(path);
	a->base_url = strdup("http://docker");
	a->host = strdup("docker");
	return a->socket_path && a->base_url && a->host ? 0 : sos_error_nomem(error);
}

static int set_certificates(struct sos_address *a, struct sos_error *error)
{
	const char *directory = setting("DOCKER_CERT_PATH"), *home = setting("HOME"), *below = "";
	if (!directory) {
		directory = home;
		below = "/.docker";
	}
	if (!directory)
		return sos_error_set(
			error, SOS_ERROR_INVALID,
			"Engine address \"%s\": DOCKER_TLS_VERIFY is set, so set DOCKER_CERT_PATH to the folder of "
			"ca.pem, cert.pem and key.pem",
			a->text);
	if (asprintf(&a->ca, "%s%s/ca.pem", directory, below) < 0)
		a->ca = NULL;
	if (asprintf(&a->cert, "%s%s/cert.pem", directory, below) < 0)
		a->cert = NULL;
	if (asprintf(&a->key, "%s%s/key.pem", directory, below) < 0)
		a->key = NULL;
	return a->ca && a->cert && a->key ? 0 : sos_error_nomem(error);
}

/* host, host:port, [v6]:port. */
static bool authority_valid(const char *text, bool *has_port)
{
	const char *port = NULL;
	if (*text == '[') {
		size_t inner = strspn(text + 1, "0123456789abcdefABCDEF:.");
		if (inner < 2 || text[1 + inner] != ']')
			return false;
		port = text + inner + 2;
	} else {
		size_t n = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_");
		if (!n)
			return false;
		port = text + n;
	}
	*has_port = *port == ':';
	if (!*has_port)
		return !*port;
	size_t digits = strspn(port + 1, "0123456789");
	return digits >= 1 && digits <= 5 && !port[1 + digits] && atoi(port + 1) >= 1 && atoi(port + 1) <= 65535;
}

static int parse_tcp(const char *rest, struct sos_address *a, struct sos_error *error)
{
	size_t length = strlen(rest);
	bool has_port = false;
	if (length && rest[length - 1] == '/')
		length--;
	char *authority = strndup(rest, length);
	if (!authority)
		return sos_error_nomem(error);
	if (!authority_valid(authority, &has_port)) {
		free(authority);
		return sos_error_set(error, SOS_ERROR_INVALID, "Engine address \"%s\": not of the form tcp://HOST:PORT",
				     a->text);
	}
	a->tls = setting("DOCKER_TLS_VERIFY") != NULL;
	if (asprintf(&a->host, "%s%s", authority, has_port ? "" : a->tls ? ":2376" : ":2375") < 0)
		a->host = NULL;
	free(authority);
	if (!a->host)
		return sos_error_nomem(error);
	if (asprintf(&a->base_url, "%s://%s", a->tls ? "https" : "http", a->host) < 0) {
		a->base_url = NULL;
		return sos_error_nomem(error);
	}
	return a->tls ? set_certificates(a, error) : 0;
}

int sos_address_parse(const char *address, struct sos_address *parsed, struct sos_error *error)
{
	struct sos_address a = { 0 };
	const char *text = address ? address : setting("DOCKER_HOST");
	if (!text)
		text = DEFAULT_ADDRESS;
	int r;
	a.text = strdup(text);
	if (!a.text)
		r = sos_error_nomem(error);
	else if (strncmp(text, "unix://", 7) == 0)
		r = parse_unix(text + 7, &a, error);
	else if (strncmp(text, "tcp://", 6) == 0)
		r = parse_tcp(text + 6, &a, error);
	else
		r = sos_error_set(
			error, SOS_ERROR_INVALID,
			"Engine address \"%s\": use unix:///PATH or tcp://HOST:PORT (in DOCKER_HOST, or as an option)",
			text);
	if (r < 0) {
		sos_address_clear(&a);
		return r;
	}
	*parsed = a;
	return 0;
}

/* The one group of the socket's owner, by name if it has one. */
static void group_of(const char *path, char *name, size_t size)
{
	struct stat status;
	struct group group, *found = NULL;
	char buffer[2048];
	name[0] = 0;
	if (stat(path, &status) < 0)
		return;
	getgrgid_r(status.st_gid, &group, buffer, sizeof(buffer), &found);
	if (found)
		snprintf(name, size, "%s", found->gr_name);
	else
		snprintf(name, size, "%u", status.st_gid);
}

int sos_address_unreachable(const struct sos_address *address, int errnum, const char *message, struct sos_error *error)
{
	const char *text = address->text, *words = errnum ? strerrordesc_np(errnum) : NULL;
	char group[64] = "";
	if (!address->socket_path || !words)
		return sos_error_set(error, SOS_ERROR_UNREACHABLE,
				     "Docker Engine at %s: %s: is it running? set DOCKER_HOST to use another", text,
				     *message ? message
				     : words  ? words
					      : "no connection");
	if (errnum == EACCES || errnum == EPERM)
		group_of(address->socket_path, group, sizeof(group));
	if (*group)
		return sos_error_set(
			error, SOS_ERROR_UNREACHABLE,
			"Docker Engine at %s: %s: the socket is for its owner and the group \"%s\": join that group "
			"(usermod -aG %s USER, then log in again), or set DOCKER_HOST to use another",
			text, words, group, group);
	if (errnum == EACCES || errnum == EPERM)
		return sos_error_set(
			error, SOS_ERROR_UNREACHABLE,
			"Docker Engine at %s: %s: ask for access to that socket, or set DOCKER_HOST to use another",
			text, words);
	return sos_error_set(error, SOS_ERROR_UNREACHABLE,
			     "Docker Engine at %s: %s: is the Engine running? set DOCKER_HOST to use another", text,
			     words);
}

void sos_address_clear(struct sos_address *address)
{
	free(address->text);
	free(address->socket_path);
	free(address->base_url);
	free(address->host);
	free(address->ca);
	free(address->cert);
	free(address->key);
	*address = (struct sos_address){ 0 };
}
