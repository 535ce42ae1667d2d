/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bytes.h"
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The server is a program of its own. Places in order: beside us, where the
 * build was configured to install it, the build tree, PATH. */

static bool try_at(const char *directory, const char *below, char **argv)
{
	SOS_AUTO_STRING char *path = NULL;
	if (asprintf(&path, "%s/%s", directory, below) < 0)
		return false;
	execv(path, argv);
	return errno != ENOENT && errno != ENOTDIR;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	argv[0] = (char[]){ "sos-server" };
	bool found = false;
	/* main ignores it, and an ignored signal would stay ignored in the server. */
	signal(SIGPIPE, SIG_DFL);
	if (length > 0) {
		self[length] = 0;
		char *slash = strrchr(self, '/');
		*slash = 0;
		found = try_at(self, "sos-server", argv) || try_at(self, "../libexec/sos-server", argv) ||
			try_at(self, "../sos-server/sos-server", argv);
	}
	if (!found)
		found = try_at(SOS_BINDIR, "sos-server", argv);
	if (!found) {
		execvp("sos-server", argv);
		found = errno != ENOENT;
	}
	if (found)
		return sos_fail(cli, SOS_EXIT_FAILED, "run sos-server: %s", strerror(errno));
	return sos_fail(cli, SOS_EXIT_FAILED,
			"sos-server is not installed: it is looked for beside sos, in %s and in PATH", SOS_BINDIR);
}

const struct sos_command sos_command_serve = {
	.path = "serve",
	.name = "serve",
	.summary = "run the server: the same as sos-server",
	.help = "Usage: sos serve [-p|--port 3000] [-m|--max-sandboxes 10] [--timeout SECONDS] ...\n"
		"\n"
		"Run sos-server with the same options; 'sos-server --help' lists them all.\n"
		"\n"
		"Examples:\n"
		"  sos serve\n"
		"  sos serve --port 8080 --max-sandboxes 5\n",
	.run = run,
};
