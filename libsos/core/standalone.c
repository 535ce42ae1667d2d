/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A command beside the session: a process of its own, started by sos-init,
 * which reports its end by waitpid. Its output stays in pipes that we share
 * with it; what it holds when the process ended is all there is to it, whoever
 * still has the pipe open. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/capture.h"
#include "core/child.h"
#include "core/driver.h"
#include "core/session.h"

#define MS 1000000LL
#define OUTPUT_PIPE (256 * 1024)
#define SPAWN_MS 30000
#define ARGUMENT_MAX 120000 /* the kernel takes 128 KiB in one argument */

struct standalone {
	struct sos_child child;
	struct sos_capture capture;
	struct sos_error *error;
	int cancel_fd;
	int out_fd, err_fd, input_fd, text_fd;
	int64_t deadline;
	int stage;    /* 0 running, 1 interrupted, 2 killed */
	bool exited;
	bool paused;  /* the connection is broken: sos-init reads the pipes meanwhile */
	unsigned breaks; /* of the connection that were noticed */
	bool unsure;  /* it was broken: does sos-init know of the command? */
	int status;
	int refused;  /* errno: it could not be started */
};

static void clear(struct standalone *run)
{
	sos_child_free(&run->child);
	int fds[] = { run->out_fd, run->err_fd, run->input_fd, run->text_fd };
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int add_out(struct sos_port *ports, size_t *count, uint32_t target, int *ours)
{
	int fds[2];
	int r = sos_child_pipe(fds, true, OUTPUT_PIPE);
	if (r < 0)
		return r;
	*ours = fds[0];
	ports[(*count)++] = (struct sos_port){ target, SOS_PORT_OUT, fds[1], 0 };
	return 0;
}

static int add_file(struct sos_port *ports, size_t *count, uint32_t target, int *ours)
{
	*ours = memfd_create(target == 0 ? "stdin" : "bash", MFD_CLOEXEC);
	if (*ours < 0)
		return -errno;
	fchmod(*ours, 0644);
	ports[(*count)++] = (struct sos_port){ target, SOS_PORT_FILE, *ours, 0 };
	return 0;
}

/* A file's contents must be there when the child starts: by socket they are written here, by attach they follow the
 * SPAWN that makes the file, which is why such a child waits for nothing else only by socket. */
static int fill(int fd, const void *data, size_t length)
{
	size_t written = 0;
	while (written < length) {
		ssize_t n = pwrite(fd, (const char *)data + written, length - written, (off_t)written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -errno;
		written += (size_t)n;
	}
	return 0;
}

static int open_ports(struct standalone *run, const struct sos_command *command, bool script, struct sos_port *ports,
		      size_t *count)
{
	int r = 0;
	if (command->stdin_data && command->stdin_length) {
		r = add_file(ports, count, 0, &run->input_fd);
		if (r == 0)
			r = fill(run->input_fd, command->stdin_data, command->stdin_length);
	} else {
		ports[(*count)++] = (struct sos_port){ 0, SOS_PORT_NULL, -1, 0 };
	}
	if (r == 0 && script) {
		r = add_file(ports, count, SOS_FD_TEXT, &run->text_fd);
		if (r == 0)
			r = fill(run->text_fd, command->text, command->text_length);
	}
	if (r == 0)
		r = add_out(ports, count, 1, &run->out_fd);
	if (r == 0 && command->streams == SOS_STREAMS_SEPARATE)
		r = add_out(ports, count, 2, &run->err_fd);
	else if (r == 0)
		ports[(*count)++] = (struct sos_port){ 2, SOS_PORT_DUP, -1, 1 };
	return r;
}

static int spawn(struct standalone *run, struct sos_link *link, enum sos_shell shell,
		 const struct sos_command *command)
{
	static const char script_path[] = "/proc/self/fd/239";
	bool script = !command->argv && command->text_length > ARGUMENT_MAX;
	SOS_AUTO_FREE char *text = NULL;
	const char *const *argv = command->argv;
	const char *words[4] = { shell == SOS_SHELL_BASH ? "bash" : "sh", "-c", NULL, NULL };
	if (script) {
		words[1] = script_path;
		argv = words;
	} else if (!argv) {
		text = strndup(command->text, command->text_length);
		if (!text)
			return sos_error_nomem(run->error);
		words[2] = text;
		argv = words;
	}
	struct sos_port ports[5];
	size_t count = 0;
	int r = open_ports(run, command, script, ports, &count);
	if (r < 0) {
		for (size_t i = 0; i < count; i++)
			if (ports[i].kind == SOS_PORT_OUT)
				close(ports[i].fd);
		return sos_error_errno(run->error, SOS_ERROR_SYSTEM, -r, "cannot make the command's pipes");
	}
	return sos_child_start(link, &run->child, command->judge ? SOS_SPAWN_JUDGE : 0, argv, ports, count,
			       sos_clock_deadline(SPAWN_MS), run->error);
}

static int read_output(struct standalone *run)
{
	if (sos_capture_pipe(&run->capture, SOS_CAPTURE_OUT, run->out_fd) < 0 ||
	    (run->err_fd >= 0 && sos_capture_pipe(&run->capture, SOS_CAPTURE_ERR, run->err_fd) < 0))
		return sos_error_nomem(run->error);
	return 0;
}

static int take_drained(struct standalone *run)
{
	for (uint32_t target = 1; target <= 2; target++) {
		SOS_AUTO_BUFFER struct sos_buffer bytes = SOS_BUFFER_INIT;
		uint64_t dropped;
		enum sos_capture_stream stream = target == 2 ? SOS_CAPTURE_ERR : SOS_CAPTURE_OUT;
		if (sos_child_take_drained(&run->child, target, &bytes, &dropped) < 0 ||
		    sos_capture_bytes(&run->capture, stream, bytes.data ? bytes.data : "", bytes.length) < 0)
			return sos_error_nomem(run->error);
		sos_capture_lost(&run->capture, stream, dropped);
	}
	return 0;
}

static int64_t stage_deadline(const struct standalone *run)
{
	return run->stage == 0 ? run->deadline : run->deadline + (run->stage == 1 ? 300 : 5000) * MS;
}

static int next_stage(struct standalone *run)
{
	run->stage++;
	if (run->stage == 1)
		return sos_child_signal(&run->child, SIGINT, SOS_SCOPE_GROUP, run->error);
	if (run->stage == 2)
		return sos_child_signal(&run->child, SIGKILL, SOS_SCOPE_TREE, run->error);
	return sos_error_set(run->error, SOS_ERROR_LOST, "the command cannot be killed");
}

static int look(struct standalone *run)
{
	sos_child_quiet(&run->child);
	struct sos_child_state state = sos_child_look(&run->child);
	if (state.ended)
		return sos_child_ended(&run->child, run->error);
	run->paused = state.paused;
	run->unsure |= state.breaks != run->breaks;
	run->breaks = state.breaks;
	run->refused = state.refused;
	run->exited = state.exited && !state.paused;
	run->status = state.status;
	return state.drained ? take_drained(run) : 0;
}

/* The connection broke and is back. A start that was lost with it would never end. */
static int make_sure(struct standalone *run)
{
	bool lives;
	int r = sos_child_lives(&run->child, &lives, run->error);
	if (r == SOS_ERROR_LOST || r == SOS_ERROR_ENDED)
		return 0; /* broken again, or for good: both wake us */
	if (r < 0)
		return r;
	run->unsure = false;
	r = lives ? 0 : look(run);
	if (r < 0 || lives || run->exited || run->refused || run->paused)
		return r;
	return sos_error_set(run->error, SOS_ERROR_LOST, "the connection to sos-init broke before the command started");
}

static int wait_end(struct standalone *run)
{
	bool out_open = true, err_open = run->err_fd >= 0;
	while (!run->exited && !run->refused) {
		struct pollfd polls[4] = {
			{ run->child.wake_fd, POLLIN, 0 },
			{ run->paused || !out_open ? -1 : run->out_fd, POLLIN, 0 },
			{ run->paused || !err_open ? -1 : run->err_fd, POLLIN, 0 },
			{ run->stage == 0 ? run->cancel_fd : -1, POLLIN, 0 },
		};
		if (poll(polls, 4, sos_clock_poll_ms(stage_deadline(run))) < 0 && errno != EINTR)
			return sos_error_errno(run->error, SOS_ERROR_SYSTEM, errno, "cannot wait for the command");
		int r = polls[0].revents ? look(run) : 0;
		if (r == 0 && run->unsure && !run->paused && !run->exited && !run->refused)
			r = make_sure(run);
		if (r == 0 && !run->paused && !run->exited && (polls[1].revents || polls[2].revents))
			r = read_output(run);
		/* Closed by its writers before the process ended: nothing more to poll for. */
		out_open = out_open && (polls[1].revents & (POLLIN | POLLHUP)) != POLLHUP;
		err_open = err_open && (polls[2].revents & (POLLIN | POLLHUP)) != POLLHUP;
		if (polls[3].revents && run->stage == 0)
			run->deadline = sos_clock_ns();
		if (r == 0 && !run->exited && !run->refused && stage_deadline(run) <= sos_clock_ns())
			r = next_stage(run);
		if (r < 0)
			return r;
	}
	if (run->refused)
		return 0;
	/* What it had started and left behind must be dead too after a time limit. */
	if (run->stage == 1) {
		int r = sos_child_signal(&run->child, SIGKILL, SOS_SCOPE_TREE, run->error);
		if (r < 0)
			return r;
	}
	return read_output(run);
}

/* As a shell says it: 127 not found, 126 cannot be run. */
static int not_started(struct standalone *run, const struct sos_command *command)
{
	const char *name = command->argv ? command->argv[0] : "the image's shell";
	const char *why = strerrordesc_np(run->refused);
	const char *parts[] = { name, ": ", why ? why : "cannot be started", "\n" };
	struct sos_result *result = run->capture.result;
	result->exit_code = run->refused == ENOENT || run->refused == ENOTDIR ? 127 : 126;
	for (size_t i = 0; i < 4; i++)
		if (sos_capture_bytes(&run->capture, SOS_CAPTURE_ERR, parts[i], strlen(parts[i])) < 0)
			return sos_error_nomem(run->error);
	return 0;
}

static int run_standalone(struct standalone *run, struct sos_link *link, enum sos_shell shell,
			  const struct sos_command *command)
{
	struct sos_result *result = run->capture.result;
	int64_t start = sos_clock_ns();
	run->deadline = command->timeout_ms > 0 ? sos_clock_deadline(command->timeout_ms) : SOS_CLOCK_NEVER;
	int r = spawn(run, link, shell, command);
	if (r < 0)
		return r;
	sos_child_busy(&run->child, true);
	r = wait_end(run);
	sos_child_busy(&run->child, false);
	int e = run->refused;
	if (e == EAGAIN || e == ENOMEM || e == EMFILE || e == ENFILE)
		return sos_error_errno(run->error, SOS_ERROR_LIMIT, e,
				       "cannot start a process in the sandbox (its pids or memory limit?)");
	if (e)
		r = not_started(run, command);
	else {
		result->exit_code = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status);
		result->signal = WIFSIGNALED(run->status) ? WTERMSIG(run->status) : 0;
		result->timed_out = run->stage > 0;
	}
	result->duration_ns = sos_clock_ns() - start;
	return r;
}

int sos_standalone_exec(struct sos_link *link, enum sos_shell shell, const struct sos_command *command,
			int cancel_fd, struct sos_result **out, struct sos_error *error)
{
	if (!command->argv && shell == SOS_SHELL_NONE)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED,
				     "the image has no shell: give the command as argv");
	struct sos_result *result =
		sos_result_new(command->exec_id, true, command->streams == SOS_STREAMS_SEPARATE);
	if (!result)
		return sos_error_nomem(error);
	struct standalone run = {
		.capture = { result, (uint64_t)command->max_output_bytes },
		.error = error,
		.cancel_fd = cancel_fd,
		.out_fd = -1, .err_fd = -1, .input_fd = -1, .text_fd = -1,
	};
	int r = run_standalone(&run, link, shell, command);
	clear(&run);
	if (r < 0) {
		sos_result_unref(result);
		return r;
	}
	*out = result;
	return 0;
}
