/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attach stream as transport: descriptors 0 and 1 of the container. usage: test_attach SOS-INIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/box.h"
#include "lib/tap.h"
#include "util/clock.h"

static const char *init;

static void start(struct box *box, const struct box_options *o, const struct box_setup *setup)
{
	struct sos_frame hello;
	box_start(box, o);
	if (!box_receive(box, 5000, &hello) || hello.type != SOS_FRAME_HELLO)
		tap_bail("no hello");
	if (box_setup(box, setup, NULL, NULL))
		tap_bail("no setup");
}

static void send_data(struct box *box, uint32_t id, uint32_t target, const char *bytes, size_t length)
{
	uint8_t frame[SOS_FRAME_HEADER + 4 + SOS_FRAME_DATA_MAX];
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, sizeof frame);
	sos_frame_put_u32(&w, target);
	sos_frame_put_raw(&w, bytes, length);
	box_send(box, frame, sos_frame_end(&w, SOS_FRAME_DATA, 0, id), NULL, 0);
}

static void send_put(struct box *box, uint32_t id, uint32_t target, uint64_t offset, const char *text)
{
	uint8_t frame[4096];
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, sizeof frame);
	sos_frame_put_u32(&w, target);
	sos_frame_put_u64(&w, offset);
	sos_frame_put_raw(&w, text, strlen(text));
	box_send(box, frame, sos_frame_end(&w, SOS_FRAME_PUT, 0, id), NULL, 0);
}

static void send_credit(struct box *box, uint32_t id, uint32_t target, uint32_t bytes)
{
	uint8_t frame[32];
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, sizeof frame);
	sos_frame_put_u32(&w, target);
	sos_frame_put_u32(&w, bytes);
	box_send(box, frame, sos_frame_end(&w, SOS_FRAME_CREDIT, 0, id), NULL, 0);
}

/* What came of one child until `until` (a frame type), credited at once. */
struct seen {
	char text[1 << 16]; /* of all targets, in order of arrival */
	size_t length, credits;
	uint64_t bytes, by_target[256];
	int status, ends;
};

static bool collect(struct box *box, uint32_t id, uint16_t until, int timeout_ms, struct seen *seen)
{
	struct sos_frame frame;
	struct sos_frame_reader r;
	int64_t deadline = sos_clock_deadline(timeout_ms);
	while (box_receive(box, sos_clock_poll_ms(deadline), &frame)) {
		if (frame.id != id)
			continue;
		sos_frame_reader_init(&r, &frame);
		uint32_t first = sos_frame_read_u32(&r);
		if (frame.type == SOS_FRAME_DATA && !r.left) {
			seen->ends++;
		} else if (frame.type == SOS_FRAME_DATA) {
			size_t n = r.left < sizeof seen->text - 1 - seen->length ? r.left
										 : sizeof seen->text - 1 - seen->length;
			memcpy(seen->text + seen->length, r.data, n);
			seen->length += n;
			seen->bytes += r.left;
			seen->by_target[first % 256] += r.left;
			send_credit(box, id, first, (uint32_t)r.left);
		} else if (frame.type == SOS_FRAME_CREDIT) {
			seen->credits += sos_frame_read_u32(&r);
		} else if (frame.type == SOS_FRAME_EXITED) {
			seen->status = (int)first;
		}
		if (frame.type == until)
			return true;
	}
	return false;
}

static struct seen *new_seen(void)
{
	struct seen *seen = calloc(1, sizeof *seen);
	if (!seen)
		abort();
	seen->status = -1;
	return seen;
}

static uint32_t spawn(struct box *box, const char *text, const struct box_fd *fds, unsigned count)
{
	const char *argv[] = {"bash", "-c", text, NULL};
	return box_spawn(box, SOS_KIND_STANDALONE, 0, argv, fds, count);
}

static const struct box_fd plain[] = {{.target = 0, .end = SOS_END_NULL},
				      {.target = 1, .end = SOS_END_OUT},
				      {.target = 2, .end = SOS_END_DUP, .source = 1}};

static void test_command(struct box *box)
{
	struct seen *seen = new_seen();
	uint32_t id = spawn(box, "echo one; echo two >&2; exit 6", plain, 3);
	tap_equal(box_answer(box, id, NULL, NULL), 0, "starts");
	tap_ok(collect(box, id, SOS_FRAME_EXITED, 5000, seen), "ends");
	tap_string(seen->text, "one\ntwo\n", "its output came before");
	tap_ok(WIFEXITED(seen->status) && WEXITSTATUS(seen->status) == 6, "its status");
	free(seen);

	seen = new_seen();
	id = spawn(box, "head -c 60000 /dev/zero; sleep 60 & exit 0", plain, 3);
	tap_ok(collect(box, id, SOS_FRAME_EXITED, 5000, seen), "a job that holds the pipe does not hold up the end");
	tap_equal((long long)seen->bytes, 60000, "all that the pipe held came before");
	box_answer(box, box_request(box, SOS_FRAME_SIGNAL, 3, id, SIGKILL, SOS_SCOPE_TREE), NULL, NULL);
	box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL);
	free(seen);

	struct box_fd passed = {.target = 1, .end = SOS_END_PASSED};
	const char *argv[] = {"true", NULL};
	struct sos_frame_spawn s = {.kind = SOS_KIND_STANDALONE,
				    .argv = &(struct sos_frame_string){"true", 4},
				    .argc = 1,
				    .fds = &(struct sos_frame_fd){passed.target, passed.end, 0, 0},
				    .fd_count = 1};
	uint8_t data[256];
	box_send(box, data, sos_frame_write_spawn(data, sizeof data, ++box->next_id, 0, &s), NULL, 0);
	tap_equal(box_answer(box, box->next_id, NULL, NULL), EINVAL, "no descriptors by attach (%s)", argv[0]);
}

static void test_input(struct box *box)
{
	static const struct box_fd fds[] = {{.target = 0, .end = SOS_END_IN}, {.target = 1, .end = SOS_END_OUT}};
	static char block[SOS_FRAME_DATA_MAX];
	struct seen *seen = new_seen();
	uint32_t id = spawn(box, "read x; echo got $x; sleep 0.3; wc -c", fds, 2);
	box_answer(box, id, NULL, NULL);
	send_data(box, id, 0, "line\n", 5);
	tap_ok(collect(box, id, SOS_FRAME_CREDIT, 5000, seen) && seen->credits == 5, "a credit when it was read");
	for (unsigned i = 0; i < 8; i++)
		send_data(box, id, 0, block, sizeof block);
	send_data(box, id, 0, NULL, 0);
	tap_ok(collect(box, id, SOS_FRAME_EXITED, 10000, seen), "ends at the end of its input");
	tap_string(seen->text, "got line\n262144\n", "all of it arrived");
	tap_equal((long long)seen->credits, 262149, "all of it was credited");
	free(seen);

	seen = new_seen();
	id = spawn(box, "sleep 0.4; read x; sleep 60", fds, 2);
	box_answer(box, id, NULL, NULL);
	send_data(box, id, 0, "a\n", 2);
	int64_t begin = sos_clock_ns();
	collect(box, id, SOS_FRAME_CREDIT, 5000, seen);
	tap_ok(sos_clock_ns() - begin > 200000000, "no credit before it was read");
	box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL);
	free(seen);

	seen = new_seen();
	id = spawn(box, "exec 0<&-; sleep 0.2; echo done", fds, 2);
	box_answer(box, id, NULL, NULL);
	usleep(100000);
	send_data(box, id, 0, block, sizeof block);
	tap_ok(collect(box, id, SOS_FRAME_EXITED, 5000, seen), "nobody reads: ends");
	tap_equal((long long)seen->credits, SOS_FRAME_DATA_MAX, "and is credited");
	free(seen);
}

/* What it read is told before its end: or a shell's `exit` would look like a line that nobody read. */
static void test_last_words(struct box *box)
{
	static const struct box_fd fds[] = {{.target = 0, .end = SOS_END_IN}, {.target = 1, .end = SOS_END_OUT}};
	unsigned late = 0;
	/* Orphans keep it reaping, so that it learns of an end before it looked at the pipe. */
	uint32_t noise = spawn(box, "while :; do (true &) ; done", fds, 0);
	for (int i = 0; i < 200; i++) {
		struct seen *seen = new_seen();
		uint32_t id = spawn(box, "read x; kill -9 $$", fds, 2);
		send_data(box, id, 0, "line\n", 5);
		late += !collect(box, id, SOS_FRAME_EXITED, 5000, seen) || seen->credits != 5;
		box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL);
		free(seen);
	}
	box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, noise), NULL, NULL);
	tap_equal(late, 0, "what it read is credited before its end");
}

static void test_files(struct box *box)
{
	static const struct box_fd fds[] = {{.target = 1, .end = SOS_END_OUT},
					    {.target = 9, .end = SOS_END_FILE},
					    {.target = 0, .end = SOS_END_IN}};
	struct seen *seen = new_seen();
	uint32_t id = box->next_id + 1;
	send_put(box, id, 9, 0, "echo first\nnot this");
	send_put(box, id, 9, 10, "\n");
	spawn(box, ". /dev/fd/9; read; . /dev/fd/9; echo x 2>/dev/null >&9 || echo not writable", fds, 3);
	tap_equal(box_answer(box, id, NULL, NULL), 0, "a file's contents may come first");
	tap_ok(collect(box, id, SOS_FRAME_DATA, 5000, seen), "it reads them");
	send_put(box, id, 9, 0, "echo second");
	send_put(box, id, 9, 11, " third");
	send_data(box, id, 0, "\n", 1);
	tap_ok(collect(box, id, SOS_FRAME_EXITED, 5000, seen), "ends");
	tap_string(seen->text, "first\nsecond third\nnot writable\n", "PUT replaces and cuts; the child only reads");
	free(seen);
}

/* A slow reader of a lot: memory stays bounded, others go on, every byte arrives. */
static void test_flow(struct box *box)
{
	struct sos_frame frame;
	struct sos_frame_reader r;
	uint64_t bytes = 0, wanted = UINT64_C(100) << 20;
	uint32_t id = spawn(box, "head -c 104857600 /dev/zero", plain, 3);
	box_answer(box, id, NULL, NULL);
	usleep(300000);
	uint64_t window = 0;
	while (box_receive(box, 300, &frame)) /* no credit: exactly a window comes */
		if (frame.type == SOS_FRAME_DATA && frame.id == id)
			window += frame.length - 4;
	tap_equal((long long)window, SOS_FRAME_WINDOW, "without credit a window comes and no more");
	struct seen *other = new_seen();
	uint32_t quick = spawn(box, "echo quick", plain, 3);
	tap_ok(collect(box, quick, SOS_FRAME_EXITED, 5000, other) && strcmp(other->text, "quick\n") == 0,
	       "another command goes on meanwhile");
	free(other);
	bytes = window;
	send_credit(box, id, 1, (uint32_t)window);
	int64_t begin = sos_clock_ns();
	bool exited = false;
	while (!exited && box_receive(box, 10000, &frame)) {
		if (frame.id != id)
			continue;
		sos_frame_reader_init(&r, &frame);
		sos_frame_read_u32(&r);
		exited = frame.type == SOS_FRAME_EXITED;
		if (frame.type != SOS_FRAME_DATA || !r.left)
			continue;
		if (bytes / (10 << 20) != (bytes + r.left) / (10 << 20))
			usleep(20000); /* slow now and then */
		bytes += r.left;
		send_credit(box, id, 1, (uint32_t)r.left);
	}
	int64_t took = (sos_clock_ns() - begin) / 1000000;
	tap_ok(exited && bytes == wanted, "100 MiB arrive, to the byte");
	tap_diag("%lld MB/s", took ? (long long)(wanted / 1000 / (uint64_t)took) : 0);
	struct seen *seen = new_seen();
	id = spawn(box, "grep VmHWM /proc/1/status | tr -d -c 0-9", plain, 3);
	collect(box, id, SOS_FRAME_EXITED, 5000, seen);
	tap_ok(atoi(seen->text) > 0 && atoi(seen->text) < 4096, "PID 1 never took more than 4 MiB: %s KiB", seen->text);
	free(seen);
}

/* A status record, on the highest descriptor, never overtakes the output before it. */
static void test_order(struct box *box)
{
	static const struct box_fd fds[] = {{.target = 1, .end = SOS_END_OUT}, {.target = 7, .end = SOS_END_OUT}};
	struct sos_frame frame;
	struct sos_frame_reader r;
	uint64_t output = 0;
	unsigned records = 0, late = 0;
	uint32_t id = spawn(box, "for i in {1..300}; do printf '%01000d' 0; printf R >&7; done", fds, 2);
	bool exited = false;
	while (!exited && box_receive(box, 10000, &frame)) {
		if (frame.id != id)
			continue;
		sos_frame_reader_init(&r, &frame);
		uint32_t target = sos_frame_read_u32(&r);
		exited = frame.type == SOS_FRAME_EXITED;
		if (frame.type != SOS_FRAME_DATA || !r.left)
			continue;
		if (target == 1)
			output += r.left;
		else
			records += (unsigned)r.left;
		late += output < records * UINT64_C(1000);
		send_credit(box, id, target, (uint32_t)r.left);
	}
	tap_ok(exited && records == 300 && output == 300000, "300 records and their output");
	tap_equal(late, 0, "no record came before its output");
}

static void test_session(struct box *box)
{
	static const struct box_fd fds[] = {{.target = 0, .end = SOS_END_IN},
					    {.target = 1, .end = SOS_END_NULL},
					    {.target = 2, .end = SOS_END_NULL},
					    {.target = 241, .end = SOS_END_OUT},
					    {.target = 243, .end = SOS_END_OUT}};
	const char *argv[] = {"bash", "--norc", "--noprofile", "--noediting", "-i", NULL};
	struct seen *seen = new_seen();
	uint32_t id = box_spawn(box, SOS_KIND_SESSION, 0, argv, fds, 5);
	tap_equal(box_answer(box, id, NULL, NULL), 0, "a session");
	send_data(box, id, 0, "A=1; echo hi >&241; echo $? >&243\n", 34);
	while (seen->by_target[243] == 0 && collect(box, id, SOS_FRAME_DATA, 5000, seen))
		;
	tap_string(seen->text, "hi\n0\n", "a command and its record");
	send_data(box, id, 0, "exec bash -c 'sleep 0.3; echo bye >&241; exit 9'\n", 49);
	usleep(100000);
	send_data(box, id, 0, " ", 1);
	tap_ok(collect(box, id, SOS_FRAME_EXITED, 5000, seen), "it becomes another program, which ends");
	tap_string(seen->text, "hi\n0\nbye\n", "with its output before its end");
	tap_ok(WIFEXITED(seen->status) && WEXITSTATUS(seen->status) == 9, "and its status");
	tap_equal((long long)seen->credits, 83, "what it did not read is not credited");
	free(seen);
}

static void test_life(void)
{
	struct box box;
	struct sos_frame frame;
	uint8_t head[SOS_FRAME_HEADER];

	box_start(&box, &(struct box_options){.init = init, .transport = "auto", .no_nonce = true});
	tap_ok(box_receive(&box, 5000, &frame) && frame.type == SOS_FRAME_NO_SOCKET,
	       "auto, no nonce: it says so first");
	tap_ok(box_receive(&box, 5000, &frame) && frame.type == SOS_FRAME_HELLO, "and then hello");
	box_stop(&box);
	box_start(&box, &(struct box_options){.init = init, .transport = "auto", .wrong_nonce = true});
	tap_ok(box_receive(&box, 5000, &frame) && frame.type == SOS_FRAME_NO_SOCKET, "auto, another's nonce: the same");
	box_stop(&box);
	box_start(&box, &(struct box_options){.init = init, .transport = "auto"});
	tap_ok(box_accept(&box, 5000, &frame), "auto, all well: the socket");
	box_stop(&box);
	box_start(&box, &(struct box_options){.init = init, .transport = "auto", .no_listener = true});
	bool said = box_receive(&box, 5000, &frame);
	tap_ok(said && (frame.type == SOS_FRAME_NO_SOCKET), "auto, nobody listens there: the attach stream in the end");
	box_stop(&box);

	start(&box, &(struct box_options){.init = init, .transport = "attach"}, &(struct box_setup){.lease_ms = 500});
	sos_frame_head(head, SOS_FRAME_KEEPALIVE, 0, 0, 0);
	for (int i = 0; i < 5; i++) {
		tap_equal(box_ended(&box, 250), -1, "kept alive");
		box_send(&box, head, sizeof head, NULL, 0);
	}
	tap_ok(box_expect(&box, SOS_FRAME_CLOSING, 0, &frame) && box_ended(&box, 3000) >= 0,
	       "no sign of life: the lease ends it");
	box_stop(&box);

	start(&box, &(struct box_options){.init = init, .transport = "attach"}, &(struct box_setup){0});
	sos_frame_head(head, 99, 0, 0, 0);
	box_send(&box, head, sizeof head, NULL, 0);
	tap_ok(box_ended(&box, 3000) > 0, "a violation ends the container");
	box_stop(&box);

	start(&box, &(struct box_options){.init = init, .transport = "attach"}, &(struct box_setup){0});
	sos_frame_head(head, SOS_FRAME_KEEPALIVE, 0, 0, 0);
	for (unsigned i = 0; i < sizeof head; i++) { /* one byte at a time */
		box_send(&box, head + i, 1, NULL, 0);
		usleep(1000);
	}
	test_command(&box);
	close(box.out);
	box.out = -1;
	tap_equal(box_ended(&box, 300), -1, "nobody reads any more: it waits for its clocks");
	box_stop(&box);
}

int main(int argc, char **argv)
{
	struct box box;
	if (argc != 2)
		tap_bail("usage: test_attach SOS-INIT");
	init = argv[1];
	signal(SIGPIPE, SIG_IGN);
	start(&box, &(struct box_options){.init = init, .transport = "attach"}, &(struct box_setup){0});
	test_command(&box);
	test_input(&box);
	test_last_words(&box);
	test_files(&box);
	test_order(&box);
	test_session(&box);
	test_flow(&box);
	box_stop(&box);
	test_life();
	return tap_done();
}
