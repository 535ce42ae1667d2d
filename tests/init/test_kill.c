/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals, and who dies with whom. usage: test_kill SOS-INIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/box.h"
#include "lib/tap.h"
#include "util/clock.h"

static const char *init;

static void start(struct box *box)
{
	struct sos_frame hello;
	box_start(box, &(struct box_options){.init = init});
	if (!box_accept(box, 5000, &hello) || box_setup(box, &(struct box_setup){0}, NULL, NULL))
		tap_bail("no container");
}

/* How many processes have exactly this command line. */
static int count(struct box *box, const char *command)
{
	char text[256];
	snprintf(text, sizeof text, "pgrep -c -x -f '%s'", command);
	char *output = box_shell(box, text, &(int){0});
	int n = atoi(output);
	free(output);
	return n;
}

static bool appears(struct box *box, const char *command, int want)
{
	for (int i = 0; i < 200; i++) {
		if (count(box, command) == want)
			return true;
		usleep(10000);
	}
	return false;
}

static void signal_child(struct box *box, uint32_t id, uint32_t number, uint32_t scope, int want, const char *what)
{
	uint32_t request = box_request(box, SOS_FRAME_SIGNAL, 3, id, number, scope);
	tap_equal(box_answer(box, request, NULL, NULL), want, "%s", what);
}

static void test_scopes(void)
{
	struct box box;
	int ends[2], status;
	start(&box);
	uint32_t id = box_start_session(&box,
					"trap 'echo shell got it' INT; sleep 101; echo $?;"
					"trap '' INT; while :; do :; done",
					ends, NULL);
	tap_ok(appears(&box, "sleep 101", 1), "a job in the foreground");
	signal_child(&box, id, SIGINT, SOS_SCOPE_FOREGROUND, 0, "SIGINT to the foreground");
	char *text = box_read_until(ends[1], "130\n", 5000);
	tap_ok(strstr(text, "130\n") && !strstr(text, "got it"), "reaches the job and not the shell");
	free(text);
	signal_child(&box, id, SIGKILL, SOS_SCOPE_FOREGROUND, 0, "SIGKILL to a foreground that is the shell");
	text = box_shell(&box, "exit 3", &status);
	free(text);
	tap_ok(WIFEXITED(status), "time passes");
	signal_child(&box, id, 0, SOS_SCOPE_PROCESS, 0, "the shell is still there");
	signal_child(&box, id, SIGKILL, SOS_SCOPE_PROCESS, 0, "SIGKILL to the shell");
	status = box_wait(&box, id, 5000);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ends it");
	signal_child(&box, id, SIGKILL, SOS_SCOPE_PROCESS, ESRCH, "no signal to one that has ended");
	signal_child(&box, 12345, SIGKILL, SOS_SCOPE_PROCESS, ESRCH, "nor to one that never was");
	close(ends[0]);
	close(ends[1]);
	box_stop(&box);
}

static uint32_t reap(struct box *box, uint32_t id, uint64_t elapsed_ns, uint32_t last)
{
	uint8_t data[64];
	struct sos_frame_writer w;
	uint32_t killed = 9999, request = ++box->next_id;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, id);
	sos_frame_put_u64(&w, elapsed_ns);
	sos_frame_put_u32(&w, last);
	box_send(box, data, sos_frame_end(&w, SOS_FRAME_REAP, 0, request), NULL, 0);
	tap_equal(box_answer(box, request, &killed, NULL), 0, "reap answers");
	return killed;
}

static void test_reap(void)
{
	struct box box;
	int ends[2];
	uint32_t pid;
	start(&box);
	static const char command[] =
		"sleep 204 & (sleep 205 &); bash -c 'trap \"\" INT TERM HUP; sleep 206 & sleep 207' & "
		"setsid sleep 208 & bash -c 'setsid -f sleep 209; setsid sleep 210 & wait' & sleep 211\n";
	uint32_t id = box_start_session(&box,
					"sleep 201 & bash -c 'sleep 202 & while :; do sleep 0.02; done' </dev/null &"
					"(sleep 203 &); last=$!; sleep 0.05; echo $last before",
					ends, &pid);
	char *text = box_read_until(ends[1], "before\n", 5000);
	uint32_t last = (uint32_t)atoi(text);
	free(text);
	int64_t begin = sos_clock_ns();
	if (write(ends[0], command, sizeof command - 1) < 0)
		tap_bail("type: %s", strerror(errno));
	tap_ok(appears(&box, "sleep 210", 1) && appears(&box, "sleep 207", 1) && appears(&box, "sleep 209", 1),
	       "all run");
	uint32_t killed = reap(&box, id, (uint64_t)(sos_clock_ns() - begin), last);
	tap_ok(killed >= 7, "%u killed", killed);
	for (int i = 204; i <= 211; i++) {
		char name[32];
		snprintf(name, sizeof name, "sleep %d", i);
		if (i != 208 &&
		    i != 209) /* daemons: out of the session, and their parents ended before anything was asked */
			tap_equal(count(&box, name), 0, "%s, of the command, is dead", name);
	}
	for (int i = 201; i <= 203; i++) {
		char name[32];
		snprintf(name, sizeof name, "sleep %d", i);
		tap_equal(count(&box, name), 1, "%s, from before, lives", name);
	}
	signal_child(&box, id, 0, SOS_SCOPE_PROCESS, 0, "the shell lives");
	tap_equal(reap(&box, id, 1, 0), 0, "nothing is left to kill");
	close(ends[0]);
	close(ends[1]);
	box_stop(&box);
}

/* The process between the shell and a session dies of the interrupt. */
static void test_broken_line(void)
{
	struct box box;
	int ends[2];
	start(&box);
	uint32_t id = box_start_session(&box, "echo begin; setsid -w sleep 301; echo back; sleep 60", ends, NULL);
	free(box_read_until(ends[1], "begin\n", 5000));
	int64_t begin = sos_clock_ns();
	tap_ok(appears(&box, "sleep 301", 1), "a session of its own");
	signal_child(&box, id, SIGINT, SOS_SCOPE_FOREGROUND, 0, "interrupted");
	free(box_read_until(ends[1], "back\n", 5000));
	tap_equal(count(&box, "sleep 301"), 1, "its parent is gone, it is not");
	reap(&box, id, (uint64_t)(sos_clock_ns() - begin) + 10000000, 0);
	tap_equal(count(&box, "sleep 301"), 0, "the reap finds it");
	close(ends[0]);
	close(ends[1]);
	box_stop(&box);
}

static void test_tree(void)
{
	struct box box;
	start(&box);
	const char *argv[] = {"bash", "-c",
			      "trap '' INT TERM; sleep 401 & setsid sleep 402 & (sleep 403 &) ;"
			      "bash -c 'set -m; sleep 404 & wait' & wait",
			      NULL};
	uint32_t id = box_spawn(&box, SOS_KIND_STANDALONE, 0, argv, NULL, 0);
	tap_equal(box_answer(&box, id, NULL, NULL), 0, "a tree");
	tap_ok(appears(&box, "sleep 402", 1) && appears(&box, "sleep 404", 1) && appears(&box, "sleep 403", 1),
	       "grows");
	int64_t begin = sos_clock_ns();
	signal_child(&box, id, SIGKILL, SOS_SCOPE_TREE, 0, "and is cut");
	tap_ok(sos_clock_ns() - begin < 1000000000, "within a second");
	for (int i = 401; i <= 404; i++) {
		char name[32];
		snprintf(name, sizeof name, "sleep %d", i);
		tap_equal(count(&box, name), 0, "%s is dead", name);
	}
	const char *leave[] = {"bash", "-c", "sleep 405 & exit 4", NULL};
	id = box_spawn(&box, SOS_KIND_STANDALONE, 0, leave, NULL, 0);
	int status = box_answer(&box, id, NULL, NULL) ? -1 : box_wait(&box, id, 5000);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 4 && appears(&box, "sleep 405", 1), "one leaves something");
	signal_child(&box, id, SIGKILL, SOS_SCOPE_TREE, 0, "a tree without its root");
	tap_equal(count(&box, "sleep 405"), 0, "is dead too");

	/* A user of its own: the limit counts what it has on the whole machine. */
	box_setup(&box, &(struct box_setup){.user = "48211"}, NULL, NULL);
	const char *bomb[] = {"bash", "-c", "ulimit -u 300; f() { f & f & wait; }; f 2>/dev/null", NULL};
	id = box_spawn(&box, SOS_KIND_STANDALONE, 0, bomb, NULL, 0);
	box_answer(&box, id, NULL, NULL);
	usleep(500000);
	begin = sos_clock_ns();
	signal_child(&box, id, SIGKILL, SOS_SCOPE_TREE, 0, "a fork bomb");
	tap_ok(sos_clock_ns() - begin < 1500000000, "is over after %lld ms",
	       (long long)(sos_clock_ns() - begin) / 1000000);
	box_setup(&box, &(struct box_setup){0}, NULL, NULL);
	char *left = box_shell(&box, "ps -e -o pid= | wc -l", &status);
	tap_ok(atoi(left) <= 5, "with nothing left: %s processes", left);
	free(left);
	box_stop(&box);
}

static void test_judge(void)
{
	struct box box;
	int ends[2], out[2];
	uint32_t ids[2];
	start(&box);
	static const char *const over[] = {"LD_PRELOAD=/x",   "BASH_ENV=/tmp/evil", "OF_SPEC=1",
					   "PYTHONPATH=/tmp", "PATH=/usr/bin:/bin", NULL};
	box_setup(&box, &(struct box_setup){.environment = over}, NULL, NULL);
	ids[0] = box_start_session(&box,
				   "trap '' TERM; (setsid bash -c 'while :; do sleep 0.01 & wait; done' &);"
				   "while :; do sleep 0.05; done",
				   ends, NULL);
	usleep(200000);
	if (pipe2(out, O_CLOEXEC) < 0)
		tap_bail("pipe");
	const char *argv[] = {"bash", "-c", "set -- /proc/[0-9]*; echo $#; env | cut -d= -f1 | sort | xargs", NULL};
	struct box_fd fd = {.target = 1, .end = SOS_END_PASSED, .fd = out[1]};
	ids[1] = box_spawn(&box, SOS_KIND_STANDALONE, SOS_SPAWN_JUDGE, argv, &fd, 1);
	int first = box_wait(&box, ids[0], 5000);
	tap_ok(WIFSIGNALED(first) && WTERMSIG(first) == SIGKILL, "the session ends before the judge begins");
	int status = box_wait(&box, ids[1], 5000);
	tap_equal(status, 0, "the judge ends well");
	char *text = box_read_until(out[0], "USER", 2000);
	tap_string(text, "2\nHOME HOSTNAME LANG OF_SPEC PATH PWD SHELL SHLVL TERM USER _\n",
		   "alone with PID 1, nothing that steers it in its environment");
	free(text);
	close(out[0]);
	close(ends[0]);
	close(ends[1]);
	box_stop(&box);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		tap_bail("usage: test_kill SOS-INIT");
	init = argv[1];
	signal(SIGPIPE, SIG_IGN);
	test_scopes();
	test_reap();
	test_broken_line();
	test_tree();
	test_judge();
	return tap_done();
}
