/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "remote.h"
#include "bytes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SERVER "http://localhost:3000"
#define TOKEN_FILE_LIMIT ((size_t)1 << 20)

static bool is_local(const char *host)
{
	size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return (length == 9 && !strncasecmp(host, "localhost", 9)) || (length == 5 && !strncmp(host, "[::1]", 5)) ||
	       !strncmp(host, "127.", 4);
}

static int find_url(struct sos_cli *cli, struct sos_remote *remote)
{
	const char *server = cli->server ? cli->server : getenv("SOS_SERVER");
	if (!server || !*server)
		server = DEFAULT_SERVER;
	if (asprintf(&remote->url, "%s%s", strstr(server, "://") ? "" : "http://", server) < 0) {
		remote->url = NULL;
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	}
	for (size_t length = strlen(remote->url); length && remote->url[length - 1] == '/';)
		remote->url[--length] = 0;
	const char *host = strstr(remote->url, "://");
	bool known = !strncmp(remote->url, "http://", 7) || !strncmp(remote->url, "https://", 8);
	/* A query or a fragment would swallow the paths that are added. */
	if (!known || !host[3] || strpbrk(host, "?# \t\n"))
		return sos_fail(cli, SOS_EXIT_USAGE, "'%s' is no server's address; one looks like %s", server,
				DEFAULT_SERVER);
	remote->local = is_local(host + 3);
	return 0;
}

/* The first of a file of tokens, by the server's rules: one a line, '#' begins a comment. NULL: none. */
static char *first_token(char *text)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t");
		size_t length = strlen(line);
		while (length && (line[length - 1] == ' ' || line[length - 1] == '\t'))
			line[--length] = 0;
		if (length && *line != '#')
			return line;
	}
	return NULL;
}

static int set_token(struct sos_cli *cli, struct sos_remote *remote, const char *token)
{
	for (const char *c = token; *c; c++)
		if (!isgraph((unsigned char)*c))
			return sos_fail(cli, SOS_EXIT_FAILED, "the token is not one word of printable ASCII");
	if (asprintf(&remote->authorization, "Authorization: Bearer %s", token) >= 0)
		return 0;
	remote->authorization = NULL;
	return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
}

static int find_token(struct sos_cli *cli, struct sos_remote *remote)
{
	const char *variable = getenv("SOS_TOKEN");
	if (!cli->token_file)
		return variable && *variable ? set_token(cli, remote, variable) : 0;
	SOS_AUTO_BYTES struct sos_bytes file = { 0 };
	int fd = open(cli->token_file, O_RDONLY | O_CLOEXEC);
	bool failed = fd < 0 || sos_bytes_read_fd(&file, fd, TOKEN_FILE_LIMIT) < 0;
	int reason = errno;
	if (fd >= 0)
		close(fd);
	if (failed)
		return sos_fail(cli, SOS_EXIT_FAILED, "read the token file %s: %s", cli->token_file, strerror(reason));
	const char *token = first_token(file.data);
	if (!token)
		return sos_fail(cli, SOS_EXIT_FAILED, "the token file %s has no token", cli->token_file);
	return set_token(cli, remote, token);
}

int sos_remote_find(struct sos_cli *cli, struct sos_remote *remote)
{
	int result = find_url(cli, remote);
	return result ? result : find_token(cli, remote);
}

void sos_remote_free(struct sos_remote *remote)
{
	free(remote->url);
	free(remote->authorization);
}
