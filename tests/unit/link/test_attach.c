/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A link over the attach stream; the test plays the stream, so that it says
 * what comes while the link is reading. */

#include "core/child.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/loop.h"
#include "engine/engine.h"
#include "unit.h"
#include "util/clock.h"

struct sos_engine_stream {
	int fd;               /* an eventfd: readable while there is something to read */
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	uint8_t data[1024];   /* what is to be read next */
	size_t length;
	bool reads;           /* the link is reading: now the child is spawned */
	uint32_t spawned;     /* the id of the SPAWN that was written, or 0 */
};

int sos_engine_stream_fd(const struct sos_engine_stream *stream)
{
	return stream->fd;
}

void sos_engine_stream_free(struct sos_engine_stream *stream)
{
	(void)stream; /* the test's own */
}

/* One frame a call, as sos_child_spawn and its like send them. */
ssize_t sos_engine_stream_write(struct sos_engine_stream *stream, const void *data, size_t length)
{
	struct sos_frame frame;
	ck_assert_int_eq(sos_frame_parse(data, length, &frame), (int)length);
	pthread_mutex_lock(&stream->lock);
	if (frame.type == SOS_FRAME_SPAWN)
		stream->spawned = frame.id;
	pthread_cond_broadcast(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
	return (ssize_t)length;
}

static void put(struct sos_engine_stream *stream, uint16_t type, uint32_t id, const void *payload, size_t length)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, stream->data + stream->length, sizeof(stream->data) - stream->length);
	sos_frame_put_raw(&w, payload, length);
	stream->length += sos_frame_end(&w, type, 0, id);
}

static void put_hello(struct sos_engine_stream *stream)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, stream->data, sizeof(stream->data));
	for (uint32_t i = 0; i < 4; i++)
		sos_frame_put_u32(&w, i ? 0 : SOS_PROTOCOL_VERSION);
	sos_frame_put_string(&w, "00000000000000000000000000000000");
	sos_frame_put_bytes(&w, NULL, 0);
	stream->length = sos_frame_end(&w, SOS_FRAME_HELLO, 0, 0);
}

/* All that a short command says, in one go: started, its output, its end. */
static void put_command(struct sos_engine_stream *stream, uint32_t id)
{
	static const uint8_t pid[4] = { 42 }, output[] = "\1\0\0\0alive", exited[28] = { 0, 3 };
	put(stream, SOS_FRAME_OK, id, pid, sizeof(pid));
	put(stream, SOS_FRAME_DATA, id, output, sizeof(output) - 1);
	put(stream, SOS_FRAME_EXITED, id, exited, sizeof(exited));
}

/* The second time that it is read, the child is spawned meanwhile, and all that comes of it is there at once. */
ssize_t sos_engine_stream_read(struct sos_engine_stream *stream, void *data, size_t size, bool *is_stderr)
{
	pthread_mutex_lock(&stream->lock);
	if (!stream->length && !stream->reads) {
		stream->reads = true;
		pthread_cond_broadcast(&stream->changed);
		while (!stream->spawned)
			pthread_cond_wait(&stream->changed, &stream->lock);
		put_command(stream, stream->spawned);
	}
	ssize_t n = stream->length ? (ssize_t)stream->length : -EAGAIN;
	ck_assert_uint_le(stream->length, size);
	memcpy(data, stream->data, stream->length);
	stream->length = 0;
	*is_stderr = false;
	uint64_t value;
	if (n < 0)
		ck_assert_int_eq(read(stream->fd, &value, sizeof(value)), sizeof(value));
	pthread_mutex_unlock(&stream->lock);
	return n;
}

START_TEST(output_that_comes_with_the_answer_is_kept)
{
	static const char *const argv[] = { "prog", NULL };
	struct sos_engine_stream stream = { .fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK),
					    .lock = PTHREAD_MUTEX_INITIALIZER,
					    .changed = PTHREAD_COND_INITIALIZER };
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_link_options options = { 0 };
	struct sos_loop *loop;
	struct sos_link *link;
	put_hello(&stream);
	ck_assert_int_eq(sos_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(sos_link_new(loop, &options, &link, &error), 0);
	ck_assert_int_eq(sos_link_attach(link, &stream, false, &error), 0);
	ck_assert_msg(sos_link_wait(link, sos_clock_deadline(5000), -1, &error) == 0, "%s", error.message);
	pthread_mutex_lock(&stream.lock);
	while (!stream.reads)
		pthread_cond_wait(&stream.changed, &stream.lock);
	pthread_mutex_unlock(&stream.lock);

	int fds[2], exec_errno;
	struct sos_child child;
	ck_assert_int_eq(sos_child_pipe(fds, true, 0), 0);
	struct sos_port ports[] = { { 0, SOS_PORT_NULL, -1, 0 }, { 1, SOS_PORT_OUT, fds[1], 0 } };
	ck_assert_msg(sos_child_spawn(link, &child, SOS_KIND_STANDALONE, 0, argv, ports, 2, sos_clock_deadline(5000),
				      &exec_errno, &error) == 0, "%s", error.message);
	struct pollfd wake = { child.wake_fd, POLLIN, 0 };
	ck_assert_int_eq(poll(&wake, 1, 5000), 1);
	struct sos_child_state state = sos_child_look(&child);
	ck_assert(state.exited && WEXITSTATUS(state.status) == 3);
	char output[16] = "";
	ck_assert_int_eq(read(fds[0], output, sizeof(output)), 5);
	ck_assert_str_eq(output, "alive");
	sos_child_free(&child);
	close(fds[0]);
	sos_link_free(link);
	sos_loop_free(loop);
	close(stream.fd);
}
END_TEST

UNIT_MAIN("attach link", output_that_comes_with_the_answer_is_kept)
