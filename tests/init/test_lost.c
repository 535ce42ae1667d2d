/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Broken connections, and the clocks that end a container. usage: test_lost SOS-INIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/box.h"
#include "lib/tap.h"
#include "util/clock.h"

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

/* What RESUME gives for one child. */
struct handed {
	int fds[SOS_FRAME_FDS];
	uint32_t targets[SOS_FRAME_FDS], count, pid, kind;
	char *data[256]; /* by target */
	size_t length[256];
	uint64_t dropped[256];
	int status;
	bool done;
};

static void take(struct box *box, const struct sos_frame *frame, struct handed *h)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t first = sos_frame_read_u32(&r);
	if (frame->type == SOS_FRAME_CHILD) {
		h->pid = first;
		h->kind = sos_frame_read_u32(&r);
		h->count = sos_frame_read_u32(&r);
		for (uint32_t i = 0; i < h->count; i++) {
			h->targets[i] = sos_frame_read_u32(&r);
			h->fds[i] = box->fds[i];
		}
	} else if (frame->type == SOS_FRAME_DATA && first < 256) {
		h->data[first] = realloc(h->data[first], h->length[first] + r.left + 1);
		memcpy(h->data[first] + h->length[first], r.data, r.left);
		h->length[first] += r.left;
		h->data[first][h->length[first]] = 0;
	} else if (frame->type == SOS_FRAME_DROPPED && first < 256) {
		h->dropped[first] = sos_frame_read_u64(&r);
	} else if (frame->type == SOS_FRAME_EXITED) {
		h->status = (int)first;
	}
}

static void resume(struct box *box, uint32_t flags, uint32_t child, struct handed *h)
{
	struct sos_frame frame;
	uint32_t id = box_request(box, SOS_FRAME_RESUME, 1, flags);
	*h = (struct handed){.status = -1};
	while (!h->done && box_receive(box, 5000, &frame)) {
		if (frame.type == SOS_FRAME_OK && frame.id == id)
			h->done = true;
		else if (frame.id == child)
			take(box, &frame, h);
	}
}

static void forget(struct handed *h)
{
	for (int i = 0; i < 256; i++)
		free(h->data[i]);
	for (uint32_t i = 0; i < h->count; i++)
		close(h->fds[i]);
}

/* Wait until the text is in the file inside the box. */
static bool wait_drained(int fd, int want)
{
	for (int i = 0; i < 500; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, 0) == want)
			return true;
		usleep(5000);
	}
	return false;
}

/* A session with a command pipe, an output pipe and a status pipe; our ends in *ends. */
static uint32_t start_shell(struct box *box, int ends[3], uint32_t *pid)
{
	int command[2], output[2], status[2];
	const char *argv[] = {"bash", "--norc", "--noprofile", "--noediting", "-i", NULL};
	if (pipe2(command, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0)
		tap_bail("pipe: %s", strerror(errno));
	struct box_fd fds[] = {{.target = 0, .end = SOS_END_PASSED, .fd = command[0]},
			       {.target = 1, .end = SOS_END_NULL},
			       {.target = 2, .end = SOS_END_NULL},
			       {.target = 241, .end = SOS_END_PASSED, .fd = output[1]},
			       {.target = 243, .end = SOS_END_PASSED, .fd = status[1]}};
	uint32_t id = box_spawn(box, SOS_KIND_SESSION, 0, argv, fds, 5);
	ends[0] = command[1];
	ends[1] = output[0];
	ends[2] = status[0];
	if (box_answer(box, id, pid, NULL) != 0)
		tap_bail("no shell");
	return id;
}

static void type(int fd, const char *line)
{
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		tap_bail("write: %s", strerror(errno));
}

static void test_resume_with_descriptors(struct box *box)
{
	struct sos_frame hello;
	struct handed h;
	int ends[3];
	uint32_t id = start_shell(box, ends, NULL);
	type(ends[0], "A=kept; echo one >&241; echo s1 >&243\n");
	char *text = box_read_until(ends[1], "\n", 5000);
	tap_string(text, "one\n", "a shell talks to us");
	free(text);
	text = box_read_until(ends[2], "\n", 5000);
	free(text);

	box_hang_up(box);
	type(ends[0], "echo while nobody listens >&241; echo s2 >&243\n");
	tap_ok(wait_drained(ends[2], 0) && wait_drained(ends[1], 0), "drained while nobody is connected");
	usleep(100000);
	tap_ok(box_accept(box, 5000, &hello), "it comes back");
	resume(box, SOS_RESUME_HAS_FDS, id, &h);
	tap_ok(h.done && h.count == 0, "resumed, no descriptors asked for");
	tap_string(h.data[241], "while nobody listens\n", "the output is handed over");
	tap_string(h.data[243], "s2\n", "and the status");
	forget(&h);
	type(ends[0], "echo $A >&241\n");
	text = box_read_until(ends[1], "\n", 5000);
	tap_string(text, "kept\n", "then the pipe is ours alone again");
	free(text);
	tap_equal(box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL), 0, "forget");
	for (int i = 0; i < 3; i++)
		close(ends[i]);
}

/* The library died: its ends are gone with it. */
static void test_resume_without(struct box *box)
{
	struct sos_frame hello;
	struct handed h;
	int ends[3];
	uint32_t pid = 0, id = start_shell(box, ends, &pid);
	type(ends[0],
	     "B=alive; (sleep 0.3; echo late >&241; head -c 300000 /dev/zero | tr '\\0' x >&241; echo 42 >&243)\n");
	box_hang_up(box);
	for (int i = 0; i < 3; i++)
		close(ends[i]);
	usleep(1000000);
	tap_ok(box_accept(box, 5000, &hello), "it comes back");
	resume(box, SOS_RESUME_DROPPED, id, &h);
	tap_ok(h.done && h.kind == SOS_KIND_SESSION && h.pid == pid && h.count == 3, "the child with its three pipes");
	tap_ok(h.targets[0] == 0 && h.targets[1] == 241 && h.targets[2] == 243, "by their targets");
	tap_ok(h.data[241] && strncmp(h.data[241], "late\nxxx", 8) == 0, "output from the beginning");
	tap_equal((long long)(h.length[241] + h.dropped[241]), 300005, "every byte is there or counted");
	tap_equal((long long)h.length[241], SOS_FRAME_WINDOW, "as much as fits is kept");
	tap_string(h.data[243], "42\n", "the record is never cut");
	tap_equal(h.status, -1, "the shell lives");
	if (h.count == 3) {
		type(h.fds[0], "echo $B >&241\n");
		char *text = box_read_until(h.fds[1], "\n", 5000);
		tap_string(text, "alive\n", "the shell is the same, by the new descriptors");
		free(text);
		type(h.fds[0], "exit 7\n");
	}
	int status = box_wait(box, id, 5000);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 7, "and ends as it is told");
	forget(&h);
}

static void test_end_while_away(struct box *box)
{
	struct sos_frame hello;
	struct handed h;
	const char *argv[] = {"bash", "-c", "sleep 0.2; echo result; exit 5", NULL};
	int out[2];
	if (pipe2(out, O_CLOEXEC) < 0)
		tap_bail("pipe");
	struct box_fd fd = {.target = 1, .end = SOS_END_PASSED, .fd = out[1]};
	uint32_t id = box_spawn(box, SOS_KIND_STANDALONE, 0, argv, &fd, 1);
	box_answer(box, id, NULL, NULL);
	box_hang_up(box);
	close(out[0]);
	usleep(600000);
	tap_ok(box_accept(box, 5000, &hello), "it comes back");
	resume(box, 0, id, &h);
	tap_string(h.data[1], "result\n", "a command that ended meanwhile: its output");
	tap_ok(WIFEXITED(h.status) && WEXITSTATUS(h.status) == 5, "and its status");
	forget(&h);
	resume(box, 0, id, &h);
	tap_ok(h.count == 1 && WIFEXITED(h.status), "told again until it is forgotten");
	forget(&h);
	box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL);
	resume(box, 0, id, &h);
	tap_ok(h.done && h.count == 0 && h.status == -1, "and then no more");
	forget(&h);
}

/* Who was to be told by an eventfd may be gone: then the frame tells. */
static void test_notified_end_while_away(struct box *box)
{
	struct sos_frame hello;
	struct handed h;
	const char *argv[] = {"bash", "-c", "sleep 0.2; echo result; exit 5", NULL};
	int out[2];
	uint64_t value;
	box->notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->notify < 0 || pipe2(out, O_CLOEXEC) < 0)
		tap_bail("descriptors");
	struct box_fd fd = {.target = 1, .end = SOS_END_PASSED, .fd = out[1]};
	uint32_t id = box_spawn(box, SOS_KIND_STANDALONE, SOS_SPAWN_NOTIFY, argv, &fd, 1);
	box_hang_up(box);
	usleep(600000);
	tap_ok(box_accept(box, 5000, &hello), "it comes back");
	resume(box, SOS_RESUME_HAS_FDS, id, &h);
	tap_string(h.data[1], "result\n", "a command that was to be told by eventfd: its output");
	tap_ok(WIFEXITED(h.status) && WEXITSTATUS(h.status) == 5, "its status comes by frame");
	tap_ok(read(box->notify, &value, sizeof value) < 0 && errno == EAGAIN, "and by nothing else");
	forget(&h);
	box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL);
	close(out[0]);
	close(box->notify);
}

/* Those of PID 1 at rest: a child that starts, the one that counts among them, holds one more for a moment. */
static int descriptors(struct box *box)
{
	int least = INT_MAX;
	for (int i = 0; i < 20; i++) {
		char *text = box_shell(box, "ls /proc/1/fd | wc -l", &(int){0});
		least = text && atoi(text) < least ? atoi(text) : least;
		free(text);
	}
	return least;
}

static void test_violations(struct box *box)
{
	static const struct {
		const char *what;
		uint8_t data[24];
		size_t length;
	} cases[] = {
		{"a length of 4 GiB", {255, 255, 255, 255, 16}, 12},
		{"a frame cut short", {8, 0, 0, 0, 16}, 12},
		{"an unknown type", {0, 0, 0, 0, 99}, 12},
		{"a RESUME without its value", {0, 0, 0, 0, 23}, 12},
		{"a SIGNAL of number 900", {12, 0, 0, 0, 18, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 132, 3, 0, 0}, 24},
		{"bytes behind a frame", {0, 0, 0, 0, 22}, 20},
	};
	struct sos_frame hello, frame;
	int before = descriptors(box);
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		box_send(box, cases[i].data, cases[i].length, NULL, 0);
		bool closed = !box_receive(box, 3000, &frame);
		box_hang_up(box);
		tap_ok(closed && box_accept(box, 5000, &hello), "%s: it hangs up and dials anew", cases[i].what);
	}
	int fds[12];
	for (int i = 0; i < 12; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint8_t head[SOS_FRAME_HEADER];
	sos_frame_head(head, SOS_FRAME_KEEPALIVE, 0, 0, 0);
	box_send(box, head, sizeof head, fds, 12);
	bool closed = !box_receive(box, 3000, &frame);
	for (int i = 0; i < 12; i++)
		close(fds[i]);
	box_hang_up(box);
	tap_ok(closed && box_accept(box, 5000, &hello), "twelve descriptors: it hangs up and dials anew");
	tap_equal(descriptors(box), before, "none of them stays, and it goes on");
}

static int64_t closing(struct box *box, const char *reason, int timeout_ms)
{
	struct sos_frame frame;
	struct sos_frame_reader r;
	int64_t begin = sos_clock_ns();
	if (!box_expect(box, SOS_FRAME_CLOSING, 0, &frame))
		return -1;
	sos_frame_reader_init(&r, &frame);
	struct sos_frame_string s = sos_frame_read_string(&r);
	tap_bytes(s.data, s.length, reason, strlen(reason), "it says why it closes");
	tap_ok(box_ended(box, timeout_ms) >= 0, "%s: the container has ended", reason);
	return (sos_clock_ns() - begin) / 1000000;
}

static void test_clocks(void)
{
	struct box box;
	struct sos_frame hello;
	uint8_t data[64];
	struct sos_frame_writer w;
	start(&box, &(struct box_options){.init = init, .lifetime_ms = "60000"},
	      &(struct box_setup){.lifetime_ms = 400});
	int64_t took = closing(&box, "lifetime", 2000);
	tap_ok(took >= 300 && took < 2000, "lifetime: after %lld ms", (long long)took);
	box_stop(&box);

	start(&box, &(struct box_options){.init = init}, &(struct box_setup){.lifetime_ms = 500});
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u64(&w, 1500);
	sos_frame_put_bytes(&w, "renewed", 7);
	box_send(&box, data, sos_frame_end(&w, SOS_FRAME_RENEW, 0, 77), NULL, 0);
	tap_equal(box_answer(&box, 77, NULL, NULL), 0, "renew");
	took = closing(&box, "lifetime", 2000);
	tap_ok(took >= 1200 && took < 4000, "renewed lifetime: after %lld ms", (long long)took);
	box_stop(&box);

	start(&box, &(struct box_options){.init = init}, &(struct box_setup){.idle_ms = 400});
	box_request(&box, SOS_FRAME_BUSY, 1, 1u);
	tap_equal(box_ended(&box, 900), -1, "busy: it is not idle");
	box_request(&box, SOS_FRAME_BUSY, 1, 0u);
	took = closing(&box, "idle", 2000);
	tap_ok(took >= 300 && took < 2000, "idle: after %lld ms", (long long)took);
	box_stop(&box);

	start(&box, &(struct box_options){.init = init, .lease_ms = "60000"}, &(struct box_setup){.lease_ms = 400});
	tap_equal(box_ended(&box, 700), -1, "connected: the lease stands still");
	box_hang_up(&box);
	close(box.listener);
	box.listener = -1;
	tap_ok(box_ended(&box, 3000) >= 0, "lease: ends when nobody comes back");
	box_stop(&box);

	box_start(&box, &(struct box_options){.init = init, .lease_ms = "400"});
	close(box.listener);
	box.listener = -1;
	tap_ok(box_ended(&box, 3000) >= 0, "lease: ends when nobody ever came");
	box_stop(&box);

	start(&box, &(struct box_options){.init = init, .lease_ms = "60000"}, &(struct box_setup){.lease_ms = 60000});
	box_hang_up(&box);
	close(box.listener);
	usleep(300000); /* its back-off grows */
	box_listen(&box);
	tap_ok(box_accept(&box, 2000, &hello), "it dials for ever");
	kill(box.pid, SIGTERM);
	closing(&box, "terminated", 2000);
	box_stop(&box);
}

int main(int argc, char **argv)
{
	struct box box;
	if (argc != 2)
		tap_bail("usage: test_lost SOS-INIT");
	init = argv[1];
	signal(SIGPIPE, SIG_IGN);
	start(&box, &(struct box_options){.init = init}, &(struct box_setup){0});
	test_resume_with_descriptors(&box);
	test_resume_without(&box);
	test_end_while_away(&box);
	test_notified_end_while_away(&box);
	test_violations(&box);
	box_stop(&box);
	test_clocks();
	return tap_done();
}
