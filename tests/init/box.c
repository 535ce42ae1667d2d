/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/container.h"
#include "lib/tap.h"
#include "util/clock.h"

#define FRAME_ROOM (SOS_FRAME_HEADER + SOS_FRAME_MAX)
#define PATIENCE_MS 10000

static const char nonce[] = "00112233445566778899aabbccddeeff";

static void write_nonce(const struct box *box, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/ctl/nonce", box->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

void box_listen(struct box *box)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/ctl/s", box->dir);
	unlink(address.sun_path);
	box->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(box->listener, (struct sockaddr *)&address, sizeof address) < 0 || chmod(address.sun_path, 0666) < 0 ||
	    listen(box->listener, 16) < 0)
		tap_bail("listen on %s: %s", address.sun_path, strerror(errno));
}

void box_start(struct box *box, const struct box_options *o)
{
	char ctl[128];
	int in[2], out[2];
	*box = (struct box){.listener = -1, .conn = -1, .in = -1, .out = -1, .data = malloc(FRAME_ROOM * 2)};
	strcpy(box->dir, "/tmp/sos-init-test.XXXXXX");
	if (!box->data || !mkdtemp(box->dir) || chmod(box->dir, 0755) < 0)
		tap_bail("a directory in /tmp: %s", strerror(errno));
	snprintf(ctl, sizeof ctl, "%s/ctl", box->dir);
	mkdir(ctl, 0755);
	if (!o->no_nonce)
		write_nonce(box, o->wrong_nonce ? "ffffffffffffffffffffffffffffffff" : nonce);
	if (!o->no_listener)
		box_listen(box);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		tap_bail("pipes: %s", strerror(errno));
	box->pid = container_start(box->dir, o, nonce, in[0], out[1]);
	if (box->pid < 0)
		tap_bail("start a container (as root?): %s", strerror(errno));
	close(in[0]);
	close(out[1]);
	box->in = in[1];
	box->out = out[0];
}

void box_hang_up(struct box *box)
{
	if (box->conn >= 0)
		close(box->conn);
	box->conn = -1;
}

void box_stop(struct box *box)
{
	char command[160];
	if (box->pid) {
		kill(box->pid, SIGKILL);
		waitpid(box->pid, NULL, 0);
	}
	box_hang_up(box);
	int fds[] = {box->listener, box->in, box->out};
	for (unsigned i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	snprintf(command, sizeof command, "rm -rf %s", box->dir);
	if (system(command) != 0)
		tap_diag("%s stays", box->dir);
	free(box->data);
	*box = (struct box){.listener = -1, .conn = -1, .in = -1, .out = -1};
}

int box_ended(struct box *box, int timeout_ms)
{
	int64_t deadline = sos_clock_deadline(timeout_ms);
	int status;
	while (waitpid(box->pid, &status, WNOHANG) == 0) {
		if (sos_clock_ns() > deadline)
			return -1;
		usleep(2000);
	}
	box->pid = 0;
	return status;
}

bool box_accept(struct box *box, int timeout_ms, struct sos_frame *hello)
{
	struct pollfd p = {.fd = box->listener, .events = POLLIN};
	if (poll(&p, 1, timeout_ms) != 1)
		return false;
	box->conn = accept4(box->listener, NULL, NULL, SOCK_CLOEXEC);
	return box->conn >= 0 && box_receive(box, timeout_ms, hello) && hello->type == SOS_FRAME_HELLO;
}

static bool receive_packet(struct box *box, struct sos_frame *frame)
{
	char control[CMSG_SPACE(sizeof(int) * SOS_FRAME_FDS)];
	struct iovec iov = {box->data, FRAME_ROOM};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(box->conn, &m, MSG_CMSG_CLOEXEC);
	box->fd_count = 0;
	if (n <= 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		box->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(box->fds, CMSG_DATA(c), box->fd_count * sizeof(int));
	}
	if (sos_frame_parse(box->data, (size_t)n, frame) != n || frame->fds != box->fd_count)
		tap_bail("sos-init sent a broken packet");
	return true;
}

static bool receive_bytes(struct box *box, int64_t deadline, struct sos_frame *frame)
{
	memmove(box->data, box->data + box->used, box->length - box->used);
	box->length -= box->used;
	box->used = 0;
	for (;;) {
		int size = sos_frame_parse(box->data, box->length, frame);
		if (size < 0)
			tap_bail("sos-init sent a broken frame");
		if (size > 0) {
			box->used = (size_t)size;
			return true;
		}
		struct pollfd p = {.fd = box->out, .events = POLLIN};
		if (poll(&p, 1, sos_clock_poll_ms(deadline)) != 1)
			return false;
		ssize_t n = read(box->out, box->data + box->length, FRAME_ROOM * 2 - box->length);
		if (n <= 0)
			return false;
		box->length += (size_t)n;
	}
}

bool box_receive(struct box *box, int timeout_ms, struct sos_frame *frame)
{
	if (box->conn < 0)
		return receive_bytes(box, sos_clock_deadline(timeout_ms), frame);
	struct pollfd p = {.fd = box->conn, .events = POLLIN};
	return poll(&p, 1, timeout_ms) == 1 && receive_packet(box, frame);
}

bool box_expect(struct box *box, uint16_t type, uint32_t id, struct sos_frame *frame)
{
	int64_t deadline = sos_clock_deadline(PATIENCE_MS);
	while (box_receive(box, sos_clock_poll_ms(deadline), frame))
		if (frame->type == type && (!id || frame->id == id))
			return true;
	return false;
}

void box_send(struct box *box, const void *data, size_t length, const int *fds, unsigned count)
{
	if (box->conn < 0) {
		for (size_t done = 0; done < length;) {
			ssize_t n = write(box->in, (const char *)data + done, length - done);
			if (n < 0)
				tap_bail("write to the attach stream: %s", strerror(errno));
			done += (size_t)n;
		}
		return;
	}
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)data, length};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
	}
	if (sendmsg(box->conn, &m, MSG_NOSIGNAL) < 0)
		tap_diag("send: %s", strerror(errno));
}

uint32_t box_request(struct box *box, uint16_t type, unsigned count, ...)
{
	uint8_t data[128];
	struct sos_frame_writer w;
	va_list values;
	uint32_t id = ++box->next_id;
	va_start(values, count);
	sos_frame_begin(&w, data, sizeof data);
	for (unsigned i = 0; i < count; i++)
		sos_frame_put_u32(&w, va_arg(values, uint32_t));
	va_end(values);
	box_send(box, data, sos_frame_end(&w, type, 0, id), NULL, 0);
	return id;
}

int box_answer(struct box *box, uint32_t id, uint32_t *value, char text[256])
{
	struct sos_frame frame;
	struct sos_frame_reader r;
	int64_t deadline = sos_clock_deadline(PATIENCE_MS);
	do
		if (!box_receive(box, sos_clock_poll_ms(deadline), &frame))
			return -1;
	while (frame.id != id || (frame.type != SOS_FRAME_OK && frame.type != SOS_FRAME_ERROR));
	sos_frame_reader_init(&r, &frame);
	uint32_t first = frame.length ? sos_frame_read_u32(&r) : 0;
	if (frame.type == SOS_FRAME_OK) {
		if (value)
			*value = first;
		return 0;
	}
	struct sos_frame_string s = sos_frame_read_string(&r);
	if (text)
		snprintf(text, 256, "%.*s", (int)s.length, s.data);
	return (int)first;
}

static struct sos_frame_string string(const char *s)
{
	return (struct sos_frame_string){s ? s : "", s ? (uint32_t)strlen(s) : 0};
}

int box_setup(struct box *box, const struct box_setup *setup, uint32_t *shell, char text[256])
{
	struct sos_frame_string environment[64];
	static uint8_t data[FRAME_ROOM];
	struct sos_frame_setup s = {
		.lifetime_ms = setup->lifetime_ms,
		.idle_timeout_ms = setup->idle_ms,
		.lease_ms = setup->lease_ms,
		.flags = setup->flags,
		.user = string(setup->user),
		.working_directory = string(setup->directory),
		.hostname = string(setup->hostname),
		.record = string(setup->record),
		.environment = environment,
	};
	while (setup->environment && setup->environment[s.environment_count]) {
		environment[s.environment_count] = string(setup->environment[s.environment_count]);
		s.environment_count++;
	}
	uint32_t id = ++box->next_id;
	box_send(box, data, sos_frame_write_setup(data, sizeof data, id, &s), NULL, 0);
	return box_answer(box, id, shell, text);
}

uint32_t box_spawn(struct box *box, uint32_t kind, uint32_t flags, const char *const *argv, const struct box_fd *fds,
		   unsigned count)
{
	static struct sos_frame_string strings[SOS_FRAME_LIST_MAX];
	static uint8_t data[FRAME_ROOM];
	struct sos_frame_fd fd[SOS_SPAWN_FDS_MAX];
	int passed[16];
	unsigned passed_count = 0;
	struct sos_frame_spawn spawn = {
		.kind = kind, .flags = flags, .path = {"", 0}, .argv = strings, .fds = fd, .fd_count = count};
	while (argv[spawn.argc]) {
		strings[spawn.argc] = string(argv[spawn.argc]);
		spawn.argc++;
	}
	for (unsigned i = 0; i < count; i++) {
		fd[i] = (struct sos_frame_fd){fds[i].target, fds[i].end, fds[i].source, fds[i].mode};
		if (fds[i].end == SOS_END_PASSED)
			passed[passed_count++] = fds[i].fd;
	}
	unsigned own = passed_count;
	if ((flags & SOS_SPAWN_NOTIFY) && box->notify >= 0)
		passed[passed_count++] = box->notify;
	uint32_t id = ++box->next_id;
	size_t length = sos_frame_write_spawn(data, sizeof data, id, (uint16_t)passed_count, &spawn);
	box_send(box, data, length, passed, passed_count);
	while (own)
		close(passed[--own]);
	return id;
}

int box_wait(struct box *box, uint32_t id, int timeout_ms)
{
	struct sos_frame frame;
	struct sos_frame_reader r;
	int64_t deadline = sos_clock_deadline(timeout_ms);
	do
		if (!box_receive(box, sos_clock_poll_ms(deadline), &frame))
			return -1;
	while (frame.type != SOS_FRAME_EXITED || frame.id != id);
	sos_frame_reader_init(&r, &frame);
	return (int)sos_frame_read_u32(&r);
}

char *box_read_until(int fd, const char *end, int timeout_ms)
{
	size_t length = 0, room = 1 << 20;
	char *text = calloc(1, room + 1);
	int64_t deadline = sos_clock_deadline(timeout_ms);
	while (text && length < room && !(end && strstr(text, end))) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, sos_clock_poll_ms(deadline)) != 1)
			break;
		ssize_t n = read(fd, text + length, room - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	return text;
}

char *box_shell(struct box *box, const char *text, int *status)
{
	int pipes[2];
	const char *argv[] = {"bash", "-c", text, NULL};
	*status = -1;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		tap_bail("pipe: %s", strerror(errno));
	struct box_fd fds[] = {{.target = 0, .end = SOS_END_NULL},
			       {.target = 1, .end = SOS_END_PASSED, .fd = pipes[1]},
			       {.target = 2, .end = SOS_END_DUP, .source = 1}};
	uint32_t id = box_spawn(box, SOS_KIND_STANDALONE, 0, argv, fds, 3);
	char why[256] = "";
	int e = box_answer(box, id, NULL, why);
	if (e)
		tap_diag("spawn: %d %s", e, why);
	else
		*status = box_wait(box, id, PATIENCE_MS);
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	char *output = calloc(1, 1 << 17);
	ssize_t n = output ? read(pipes[0], output, (1 << 17) - 1) : -1;
	if (n < 0 && output)
		output[0] = 0;
	close(pipes[0]);
	box_answer(box, box_request(box, SOS_FRAME_FORGET, 1, id), NULL, NULL);
	return output;
}

uint32_t box_start_session(struct box *box, const char *text, int ends[2], uint32_t *pid)
{
	int command[2], output[2];
	const char *argv[] = {"bash", "--norc", "--noprofile", "--noediting", "-i", NULL};
	if (pipe2(command, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0)
		tap_bail("pipe: %s", strerror(errno));
	struct box_fd fds[] = {{.target = 0, .end = SOS_END_PASSED, .fd = command[0]},
			       {.target = 1, .end = SOS_END_PASSED, .fd = output[1]},
			       {.target = 2, .end = SOS_END_NULL}};
	uint32_t id = box_spawn(box, SOS_KIND_SESSION, 0, argv, fds, 3);
	ends[0] = command[1];
	ends[1] = output[0];
	if (box_answer(box, id, pid, NULL) != 0)
		tap_bail("a session could not be started");
	if (write(command[1], text, strlen(text)) < 0 || write(command[1], "\n", 1) < 0)
		tap_bail("type: %s", strerror(errno));
	return id;
}
