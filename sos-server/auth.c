/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"
#include "reply.h"
#include "request.h"

#define TOKEN_FILE_LIMIT (1 << 20)

/* ---- tokens ---- */

static char *read_file(const char *path, char *error, size_t error_size)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, TOKEN_FILE_LIMIT + 1) : NULL;
	size_t length = text ? fread(text, 1, TOKEN_FILE_LIMIT + 1, file) : 0;
	if (!file || !text || ferror(file)) {
		snprintf(error, error_size, "cannot read the token file \"%s\": %s", path, strerror(errno));
	} else if (length > TOKEN_FILE_LIMIT) {
		snprintf(error, error_size, "the token file \"%s\" is larger than 1 MiB", path);
	} else {
		fclose(file);
		return text;
	}
	if (file)
		fclose(file);
	free(text);
	return NULL;
}

static bool add_token(struct sos_auth *auth, const char *token)
{
	const char **list = realloc(auth->list, (auth->count + 1) * sizeof(*list));
	if (!list)
		return false;
	auth->list = list;
	auth->list[auth->count++] = token;
	return true;
}

/* One a line; empty lines and those that begin with # are none. */
static bool cut_tokens(struct sos_auth *auth)
{
	char *save = NULL;
	for (char *line = strtok_r(auth->tokens, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t");
		size_t length = strlen(line);
		while (length && (line[length - 1] == ' ' || line[length - 1] == '\t'))
			line[--length] = 0;
		if (length && line[0] != '#' && !add_token(auth, line))
			return false;
	}
	return true;
}

int sos_auth_new(struct sos_auth *auth, const struct sos_options *options, char *error, size_t error_size)
{
	*auth = (struct sos_auth){ .options = options };
	if (!options->token_file)
		return 0;
	auth->tokens = read_file(options->token_file, error, error_size);
	if (!auth->tokens)
		return -1;
	if (!cut_tokens(auth))
		snprintf(error, error_size, "out of memory");
	else if (!auth->count)
		snprintf(error, error_size, "the token file \"%s\" has no token", options->token_file);
	else
		return 0;
	sos_auth_clear(auth);
	return -1;
}

void sos_auth_clear(struct sos_auth *auth)
{
	free(auth->list);
	free(auth->tokens);
	*auth = (struct sos_auth){ 0 };
}

/* Takes as long for a token that differs in its first byte as for one that differs in its last. */
static bool same_token(const char *given, size_t given_length, const char *token)
{
	size_t length = strlen(token);
	volatile unsigned char difference = given_length != length;
	for (size_t i = 0; i < given_length; i++)
		difference |= (unsigned char)given[i] ^ (unsigned char)token[i % length];
	return difference == 0;
}

bool sos_auth_check_token(const struct sos_auth *auth, struct sos_request *request)
{
	const char *header = sos_request_header(request, "Authorization");
	bool known = false;
	if (!auth->count)
		return true;
	if (header && strncasecmp(header, "Bearer ", 7) == 0) {
		header += 7 + strspn(header + 7, " ");
		size_t length = strlen(header);
		while (length && header[length - 1] == ' ')
			length--;
		for (size_t i = 0; i < auth->count; i++) /* all of them, whichever it is */
			known |= same_token(header, length, auth->list[i]);
	}
	if (!known)
		sos_reply_text(request, 401, "a token is needed: send \"Authorization: Bearer TOKEN\"");
	return known;
}

/* ---- Host and Origin ---- */

/* `text` begins with a colon. */
static bool is_port(const char *text)
{
	size_t digits = strspn(text + 1, "0123456789");
	return !text[1 + digits] && (digits < 5 || (digits == 5 && strtol(text + 1, NULL, 10) <= UINT16_MAX));
}

/* A name in brackets has colons of its own. */
static bool has_wrong_port(const char *host)
{
	const char *bracket = strrchr(host, ']'), *colon = strchr(bracket ? bracket : host, ':');
	return colon && !is_port(colon);
}

/* `host` is `name`, with or without a port. */
static bool is_host(const char *host, const char *name)
{
	size_t length = strlen(name);
	if (strncasecmp(host, name, length) != 0)
		return false;
	if (!host[length])
		return true;
	return host[length] == ':' && is_port(host + length);
}

static bool is_among(const char *host, const char *const *names)
{
	for (; names && *names; names++)
		if (is_host(host, *names))
			return true;
	return false;
}

bool sos_auth_check_host(const struct sos_auth *auth, struct sos_request *request)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]", NULL };
	const struct sos_options *options = auth->options;
	const char *host = sos_request_header(request, "Host");
	const char *const *allowed = (const char *const *)options->allow_hosts;
	/* HTTP/1.0 has no Host, and no browser speaks it. On other addresses existing clients use names of
	 * their own, so there every name goes until some are given. */
	if (!host || (!options->loopback && !allowed && !has_wrong_port(host)))
		return true;
	if (is_among(host, local) || is_host(host, options->listen) || is_among(host, allowed))
		return true;
	sos_reply_text(request, 403, "Host \"%.128s\" is not served here; --allow-host names further ones", host);
	return false;
}

bool sos_auth_check_origin(const struct sos_auth *auth, struct sos_request *request)
{
	const char *origin = sos_request_header(request, "Origin");
	if (!origin)
		return true;
	for (const char **allowed = auth->options->allow_origins; allowed && *allowed; allowed++)
		if (strcasecmp(*allowed, origin) == 0)
			request->allow_origin = *allowed;
	if (!request->allow_origin) {
		sos_reply_text(request, 403,
			       "pages of origin \"%.128s\" may not use this server; --allow-origin lets them", origin);
		return false;
	}
	if (strcmp(request->method, "OPTIONS") != 0)
		return true;
	struct sos_text none = SOS_TEXT_INIT;
	sos_reply(request, 204, NULL, &none);
	return false;
}
