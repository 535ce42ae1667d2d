/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one program of the image without a shell; the other test images have it too.
 * Linked statically and without anything of SoS. First argument:
 *   show ...     argv, environment, directory and ids, one a line (also without any argument)
 *   exit N       end with that code
 *   signal N     end by that signal
 *   sleep N      seconds
 *   cat          stdin to stdout
 *   both O E     O to stdout, E to stderr, each with a newline
 *   fill N       N bytes of 'x'
 *   stubborn N   ignore what can be ignored, then sleep N seconds
 *   fork N M     N children that each sleep M seconds, left behind
 *   memory N     touch N MiB
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int show(int argc, char **argv)
{
	char directory[4096];

	for (int i = 0; i < argc; i++)
		printf("argv[%d]=%s\n", i, argv[i]);
	for (char **e = environ; *e; e++)
		printf("env %s\n", *e);
	printf("cwd %s\n", getcwd(directory, sizeof directory) ? directory : strerror(errno));
	printf("uid %d gid %d\n", (int)geteuid(), (int)getegid());
	return 0;
}

static int copy(void)
{
	char bytes[65536];
	ssize_t n;

	while ((n = read(0, bytes, sizeof bytes)) > 0)
		for (ssize_t done = 0, k; done < n; done += k)
			if ((k = write(1, bytes + done, (size_t)(n - done))) < 0)
				return 1;
	return n < 0;
}

static int fill(long long count)
{
	char bytes[65536];

	memset(bytes, 'x', sizeof bytes);
	while (count > 0) {
		ssize_t n = write(1, bytes, count < (long long)sizeof bytes ? (size_t)count : sizeof bytes);

		if (n < 0)
			return 1;
		count -= n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "show";
	long first = argc > 2 ? atol(argv[2]) : 0, second = argc > 3 ? atol(argv[3]) : 0;

	if (!strcmp(what, "exit"))
		return (int)first;
	if (!strcmp(what, "signal")) {
		signal((int)first, SIG_DFL);
		raise((int)first);
		return 1;
	}
	if (!strcmp(what, "sleep"))
		return (int)sleep((unsigned)first);
	if (!strcmp(what, "cat"))
		return copy();
	if (!strcmp(what, "both")) {
		printf("%s\n", argc > 2 ? argv[2] : "");
		fflush(stdout);
		fprintf(stderr, "%s\n", argc > 3 ? argv[3] : "");
		return 0;
	}
	if (!strcmp(what, "fill"))
		return fill(argc > 2 ? atoll(argv[2]) : 0);
	if (!strcmp(what, "stubborn")) {
		for (int s = 1; s < 65; s++)
			signal(s, SIG_IGN);
		for (long left = first; left > 0;)
			left = (long)sleep((unsigned)left);
		return 0;
	}
	if (!strcmp(what, "fork")) {
		for (long i = 0; i < first; i++)
			if (fork() == 0)
				_exit((int)sleep((unsigned)second));
		return 0;
	}
	if (!strcmp(what, "memory")) {
		for (long i = 0; i < first; i++) {
			char *block = malloc(1 << 20);

			if (!block)
				return 1;
			memset(block, (int)i + 1, 1 << 20);
		}
		return 0;
	}
	return show(argc, argv);
}
