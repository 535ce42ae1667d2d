/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Setting up, starting, descriptors, ends: by socket. usage: test_spawn SOS-INIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/box.h"
#include "lib/tap.h"

static const char *init;

static void start(struct box *box, const struct box_options *o, const struct box_setup *setup)
{
	struct sos_frame hello;
	char why[256] = "";
	box_start(box, o);
	if (!box_accept(box, 5000, &hello))
		tap_bail("no hello");
	int e = box_setup(box, setup, NULL, why);
	if (e)
		tap_bail("setup: %d %s", e, why);
}

static void expect(struct box *box, const char *text, const char *output, const char *what)
{
	int status;
	char *got = box_shell(box, text, &status);
	tap_string(got, output, "%s", what);
	free(got);
}

static void test_hello(void)
{
	struct box box;
	struct sos_frame hello;
	struct sos_frame_reader r;
	uint32_t shell = 9;
	char why[256] = "";
	box_start(&box, &(struct box_options){.init = init});
	if (!tap_ok(box_accept(&box, 5000, &hello), "it connects and says hello"))
		tap_bail("no hello");
	sos_frame_reader_init(&r, &hello);
	tap_equal(sos_frame_read_u32(&r), SOS_PROTOCOL_VERSION, "version");
	tap_equal(sos_frame_read_u32(&r), SOS_HELLO_SOCKET, "by socket, not set up");
	tap_equal(sos_frame_read_u32(&r), 2, "the shell is a bash");
	tap_equal(sos_frame_read_u32(&r), 0, "no children");
	struct sos_frame_string nonce = sos_frame_read_string(&r);
	tap_bytes(nonce.data, nonce.length, "00112233445566778899aabbccddeeff", 32, "nonce");
	tap_equal(sos_frame_read_bytes(&r).length, 0, "no record yet");
	tap_ok(sos_frame_read_done(&r), "and nothing more");

	const char *argv[] = {"true", NULL};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, argv, NULL, 0), NULL, why), EINVAL,
		  "nothing starts before it is set up: %s", why);
	tap_equal(box_setup(&box, &(struct box_setup){.user = "nobody-here"}, NULL, why), ENOENT, "unknown user");
	tap_string(why, "user \"nobody-here\": no such user in the image's /etc/passwd", "says which");
	tap_equal(box_setup(&box, &(struct box_setup){.user = "agent:nope"}, NULL, why), ENOENT, "unknown group");
	tap_equal(box_setup(&box, &(struct box_setup){.directory = "tmp"}, NULL, why), EINVAL, "relative directory");
	tap_equal(box_setup(&box, &(struct box_setup){.directory = "/dev/null"}, NULL, why), ENOTDIR, "no directory");
	tap_string(why, "working directory \"/dev/null\": Not a directory", "says which");
	tap_equal(
		box_setup(&box, &(struct box_setup){.environment = (const char *const[]){"NOVALUE", NULL}}, NULL, why),
		E2BIG, "a variable without =");
	tap_equal(box_setup(&box, &(struct box_setup){.record = "a record", .hostname = "box"}, &shell, why), 0,
		  "setup");
	tap_equal(shell, 2, "bash is there");

	box_hang_up(&box);
	tap_ok(box_accept(&box, 5000, &hello), "it dials again");
	sos_frame_reader_init(&r, &hello);
	sos_frame_read_u32(&r);
	tap_equal(sos_frame_read_u32(&r), SOS_HELLO_SOCKET | SOS_HELLO_SET_UP, "set up now");
	sos_frame_read_u32(&r);
	sos_frame_read_u32(&r);
	sos_frame_read_string(&r);
	struct sos_frame_string record = sos_frame_read_bytes(&r);
	tap_bytes(record.data, record.length, "a record", 8, "the record comes back");
	expect(&box, "cat /etc/hostname; grep -c localhost /etc/hosts; grep -c box /etc/hosts", "box\n2\n1\n",
	       "hosts and hostname were written");
	box_stop(&box);
}

static void test_environment(void)
{
	struct box box;
	static const char *const over[] = {"FROM_SETUP=1", "FROM_IMAGE=changed", "LD_X=a", "BASH_ENV=/dev/null", NULL};
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){.environment = over});
	expect(&box, "env | grep -v '^_=\\|^PWD=\\|^SHLVL=\\|^OLDPWD=' | sort",
	       "BASH_ENV=/dev/null\nFROM_IMAGE=changed\nFROM_SETUP=1\nHOME=/root\nHOSTNAME=box\nLANG=C.UTF-8\nLD_X=a\n"
	       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nSHELL=/bin/"
	       "bash\nTERM=dumb\nUSER=root\n",
	       "the image's environment, SETUP's over it, defaults; nothing of ours");
	expect(&box, "pwd; umask; id -u; id -g; id -G; ulimit -Sn | tr -d -c 0-9 | wc -c | tr -d ' ' | grep -vc '^0'",
	       "/\n0022\n0\n0\n0 50\n1\n", "directory, umask, ids");
	expect(&box, "ls /proc/self/fd | wc -l; grep Sig[BI] /proc/self/status", /* ls opens one */
	       "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n",
	       "no descriptor and no signal state of ours");
	expect(&box, "grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj", "NoNewPrivs:\t1\n500\n",
	       "the out-of-memory killer prefers children");
	expect(&box, "grep Cap /proc/self/status", /* without SETPCAP, NET_ADMIN */
	       "CapInh:\t0000000000000000\nCapPrm:\t00000000000004fb\nCapEff:\t00000000000004fb\n"
	       "CapBnd:\t00000000000004fb\nCapAmb:\t0000000000000000\n",
	       "a root child's capabilities");
	box_stop(&box);
}

static void test_users(void)
{
	struct box box;
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){.user = "agent", .directory = "/tmp/a/b"});
	expect(&box, "id -un; id -g; id -G; pwd; echo $HOME $USER $SHELL; grep -E 'CapPrm|CapEff' /proc/self/status",
	       "agent\n1000\n1000 50 60\n/tmp/a/b\n/home/agent agent /bin/bash\n"
	       "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n",
	       "a user of the image, in a directory that was made");
	expect(&box, "echo a >/dev/stdout; echo b >/dev/stderr; echo c", "a\nb\nc\n", "its pipes are its own");
	box_setup(&box, &(struct box_setup){.user = "1000:50"}, NULL, NULL);
	expect(&box, "id -u; id -g; id -G", "1000\n50\n50\n", "uid:gid");
	box_setup(&box, &(struct box_setup){.user = "4242"}, NULL, NULL);
	expect(&box, "id -u; id -g; id -G; echo $HOME $USER", "4242\n0\n0\n/ 4242\n",
	       "a number that passwd does not know");
	box_setup(&box, &(struct box_setup){.user = "service"}, NULL, NULL);
	expect(&box, "id -u; id -g; echo $HOME $SHELL", "1001\n50\n/var /usr/bin/bash\n", "nologin is no SHELL");
	box_stop(&box);

	start(&box, &(struct box_options){.init = init, .strict_caps = true},
	      &(struct box_setup){.user = "agent", .flags = SOS_SETUP_STRICT});
	expect(&box, "id -u; grep Cap /proc/self/status | tr -d '\\n\\t'; echo hi >/dev/stdout",
	       "1000\nCapInh:0000000000000000CapPrm:0000000000000000CapEff:0000000000000000CapBnd:0000000000000000"
	       "CapAmb:0000000000000000hi\n",
	       "strict: no capability at all");
	box_setup(&box, &(struct box_setup){.user = "root"}, NULL, NULL);
	expect(&box, "id -u; grep Cap /proc/self/status | grep -c 0000000000000000", "0\n5\n",
	       "strict: not as root either");
	box_stop(&box);
}

static void test_ends(void)
{
	struct box box;
	int status;
	uint32_t value;
	char why[256] = "";
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){0});
	free(box_shell(&box, "exit 42", &status));
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 42, "exit status");
	free(box_shell(&box, "kill -SEGV $$", &status));
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "signal");
	const char *nothing[] = {"no-such-program", NULL};
	uint32_t id = box_spawn(&box, SOS_KIND_STANDALONE, 0, nothing, NULL, 0);
	tap_equal(box_answer(&box, id, &value, why), ENOENT, "a program that is not there");
	tap_string(why, "start \"no-such-program\": No such file or directory", "says which");
	const char *directory[] = {"/tmp", NULL};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, directory, NULL, 0), &value, why), EACCES,
		  "a directory is no program");
	free(box_shell(&box, "echo 'echo script $1' >/tmp/s; chmod 755 /tmp/s; mkdir /tmp/x; cd /tmp/x", &status));
	const char *script[] = {"/tmp/s", "word", NULL};
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		tap_bail("pipe");
	struct box_fd out = {.target = 1, .end = SOS_END_PASSED, .fd = pipes[1]};
	id = box_spawn(&box, SOS_KIND_STANDALONE, 0, script, &out, 1);
	tap_equal(box_answer(&box, id, NULL, NULL), 0, "a script without #! starts");
	tap_equal(box_wait(&box, id, 5000), 0, "and ends");
	char *text = box_read_until(pipes[0], "\n", 1000);
	tap_string(text, "script word\n", "by sh, as execvp does it");
	free(text);
	close(pipes[0]);

	box_setup(&box, &(struct box_setup){.directory = "/tmp/x"}, NULL, NULL);
	free(box_shell(&box, "rmdir /tmp/x", &status));
	const char *argv[] = {"true", NULL};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, argv, NULL, 0), NULL, why), ENOENT,
		  "a working directory that the tenant removed");
	tap_string(why, "working directory \"/tmp/x\": No such file or directory", "says which");
	box_stop(&box);
}

/* Targets that collide with the numbers that things have in PID 1, in both directions. */
static void test_descriptors(void)
{
	struct box box;
	int a[2], b[2], file = memfd_create("text", MFD_CLOEXEC);
	start(&box, &(struct box_options){.init = init, .nofile = 300}, &(struct box_setup){0});
	if (pipe2(a, O_CLOEXEC) < 0 || pipe2(b, O_CLOEXEC) < 0 || file < 0 || write(file, "of the file\n", 12) != 12)
		tap_bail("pipes: %s", strerror(errno));
	struct box_fd fds[] = {
		{.target = 5, .end = SOS_END_PASSED, .fd = a[1]},
		{.target = 4, .end = SOS_END_PASSED, .fd = b[1]},
		{.target = 1, .end = SOS_END_DUP, .source = 5},
		{.target = 3, .end = SOS_END_PASSED, .mode = 1, .fd = file},
		{.target = 0, .end = SOS_END_CLOSED_IN},
		{.target = 240, .end = SOS_END_NULL},
	};
	const char *argv[] = {"bash", "-c",
			      "ls -m /proc/self/fd; cat /dev/fd/3; echo four >&4; echo five >&5; wc -c </dev/fd/0;"
			      "ulimit -Sn; readlink /proc/self/fd/240",
			      NULL};
	uint32_t id = box_spawn(&box, SOS_KIND_STANDALONE, 0, argv, fds, 6);
	tap_equal(box_answer(&box, id, NULL, NULL), 0, "starts");
	tap_equal(box_wait(&box, id, 5000), 0, "ends well");
	char *one = box_read_until(a[0], "null\n", 2000), *four = box_read_until(b[0], "\n", 1000);
	tap_string(one, "0, 1, 2, 240, 3, 4, 5\nof the file\nfive\n0\n300\n/dev/null\n",
		   "exactly the descriptors asked for (2 is the list's own), the limit of old");
	tap_string(four, "four\n", "the other pipe");
	free(one);
	free(four);
	close(a[0]);
	close(b[0]);

	int regular = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *plain[] = {"true", NULL};
	struct box_fd device = {.target = 1, .end = SOS_END_PASSED, .fd = regular};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, plain, &device, 1), NULL, NULL), EINVAL,
		  "a device instead of a pipe is refused");
	struct box_fd twice[] = {{.target = 1, .end = SOS_END_NULL}, {.target = 1, .end = SOS_END_NULL}};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, plain, twice, 2), NULL, NULL), EINVAL,
		  "one target twice is refused");
	struct box_fd dangling = {.target = 1, .end = SOS_END_DUP, .source = 7};
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, 0, plain, &dangling, 1), NULL, NULL), EINVAL,
		  "a duplicate of nothing is refused");
	box_stop(&box);
}

static void test_terminal(void)
{
	struct box box;
	int ends[2];
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){.user = "agent"});
	uint32_t id = box_start_session(&box,
					"read -r p c s pp group session tty tpgid rest </proc/$$/stat;"
					"echo $((p==group))$((p==session))$((p==tpgid));"
					"stty size </dev/tty; stat -c %U $(ps -o tty= -p $$ | sed s,^,/dev/,);"
					"head -c 300000 /dev/zero >/dev/tty; echo drained; kill -STOP $$; echo awake;"
					"ls -m /proc/$$/fd; sleep 30",
					ends, NULL);
	char *text = box_read_until(ends[1], "255\n", 10000);
	tap_string(text, "111\n24 80\nagent\ndrained\nawake\n0, 1, 2, 255\n",
		   "a session of its own, a drained terminal of its user's, a stopped shell goes on");
	free(text);
	tap_equal(box_answer(&box, box_request(&box, SOS_FRAME_FORGET, 1, id), NULL, NULL), 0, "forget");
	close(ends[0]);
	close(ends[1]);
	char *gone = box_shell(&box, "pgrep -c sleep", &(int){0});
	tap_string(gone, "0\n", "kills what runs");
	free(gone);
	box_stop(&box);
}

/* The wait status that the eventfd tells, or -1: nothing within the time. */
static int notified(struct box *box, int timeout_ms)
{
	struct pollfd p = {.fd = box->notify, .events = POLLIN};
	uint64_t value;
	if (poll(&p, 1, timeout_ms) != 1 || read(box->notify, &value, sizeof value) != sizeof value)
		return -1;
	return value & UINT32_MAX ? -1 : (int)((value >> 32) - 1);
}

static void test_notify(void)
{
	struct box box;
	struct sos_frame frame;
	int out[2];
	const char *good[] = {"bash", "-c", "echo hi; exit 3", NULL}, *bad[] = {"/nowhere", NULL};
	const char *killed[] = {"bash", "-c", "kill -9 $$", NULL};
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){0});
	box.notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box.notify < 0 || pipe2(out, O_CLOEXEC) < 0)
		tap_bail("descriptors");
	struct box_fd fd = {.target = 1, .end = SOS_END_PASSED, .fd = out[1]};
	uint32_t id = box_spawn(&box, SOS_KIND_STANDALONE, SOS_SPAWN_NOTIFY, good, &fd, 1);
	int status = notified(&box, 5000);
	tap_ok(status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 3, "the end comes by the eventfd");
	char *text = box_read_until(out[0], "\n", 0);
	tap_string(text, "hi\n", "after its output");
	free(text);
	close(out[0]);
	status = box_spawn(&box, SOS_KIND_STANDALONE, SOS_SPAWN_NOTIFY, killed, NULL, 0) ? notified(&box, 5000) : -1;
	tap_ok(status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == 9, "a signal too");
	box_spawn(&box, SOS_KIND_STANDALONE, SOS_SPAWN_NOTIFY, bad, NULL, 0);
	tap_ok(box_receive(&box, 5000, &frame) && frame.type == SOS_FRAME_ERROR,
	       "no frame at all but the ERROR of what cannot be started");
	tap_equal(notified(&box, 0), -1, "of which the eventfd says nothing");
	uint8_t data[SOS_FRAME_HEADER + 4];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, id);
	box_send(&box, data, sos_frame_end(&w, SOS_FRAME_FORGET, 0, 0), NULL, 0);
	uint32_t request = box_request(&box, SOS_FRAME_FORGET, 1, id);
	tap_ok(box_receive(&box, 5000, &frame) && frame.id == request, "a FORGET without id has no answer");
	close(box.notify);
	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
		tap_bail("pipe");
	box.notify = out[1];
	tap_equal(box_answer(&box, box_spawn(&box, SOS_KIND_STANDALONE, SOS_SPAWN_NOTIFY, good, NULL, 0), NULL, NULL),
		  EINVAL, "a pipe is no eventfd");
	close(out[0]);
	close(out[1]);
	box.notify = -1;
	box_spawn(&box, SOS_KIND_STANDALONE, SOS_SPAWN_NOTIFY, good, NULL, 0);
	tap_ok(!box_receive(&box, 3000, &frame), "none at all is a violation");
	box_stop(&box);
}

static void test_many(void)
{
	struct box box;
	uint32_t ids[300];
	int refused = 0, good = 0;
	const char *argv[] = {"sleep", "60", NULL}, *quick[] = {"true", NULL};
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){0});
	for (int i = 0; i < 300; i++) {
		ids[i] = box_spawn(&box, SOS_KIND_STANDALONE, 0, argv, NULL, 0);
		int e = box_answer(&box, ids[i], NULL, NULL);
		good += e == 0;
		refused += e == EAGAIN;
	}
	tap_ok(good == 256 && refused == 44, "256 at once, then EAGAIN (%d, %d)", good, refused);
	for (int i = 0; i < 256; i++)
		box_answer(&box, box_request(&box, SOS_FRAME_SIGNAL, 3, ids[i], SIGKILL, SOS_SCOPE_PROCESS), NULL,
			   NULL);
	int status = 0;
	for (int i = 0; i < 600 && !status; i++) { /* ends that were told and not forgotten make room */
		uint32_t id = box_spawn(&box, SOS_KIND_STANDALONE, 0, quick, NULL, 0);
		int e = box_answer(&box, id, NULL, NULL);
		if (e == EAGAIN)
			usleep(1000); /* the last of those that were killed have not been reaped yet */
		else
			status = e ? e : box_wait(&box, id, 5000);
	}
	tap_equal(status, 0, "600 more without FORGET");
	char *zombies = box_shell(&box, "for i in {1..2000}; do (true &) ; done; sleep 0.3; ps -e -o stat= | grep -c Z",
				  &status);
	tap_string(zombies, "0\n", "orphans are buried");
	free(zombies);
	box_stop(&box);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		tap_bail("usage: test_spawn SOS-INIT");
	init = argv[1];
	test_hello();
	test_environment();
	test_users();
	test_ends();
	test_descriptors();
	test_terminal();
	test_notify();
	test_many();
	return tap_done();
}
