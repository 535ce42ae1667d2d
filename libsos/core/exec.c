/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A command's way through the sandbox. It is taken thousands of times a second:
 * only the sandbox's own lock, twice and briefly. */

#include <string.h>

#include "core/cancel.h"
#include "core/pool.h"
#include "core/result.h"
#include "core/run.h"
#include "core/sandbox.h"
#include "core/wait.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define COMMAND_MOST (64u * 1024 * 1024)
#define OUTPUT_DEFAULT (INT64_C(8) * 1024 * 1024)
#define OUTPUT_MOST (INT64_C(1024) * 1024 * 1024)

static int check_text(const struct sos_exec_options *o, struct sos_command *command, struct sos_error *error)
{
	command->text = o->command;
	command->text_length = o->command_length ? o->command_length : strlen(o->command);
	if (command->text_length > COMMAND_MOST)
		return sos_error_set(error, SOS_ERROR_INVALID, "command: %zu bytes, more than 64 MiB",
				     command->text_length);
	const char *nul = o->command_length ? memchr(o->command, 0, o->command_length) : NULL;
	if (nul)
		return sos_error_set(error, SOS_ERROR_INVALID, "command: a NUL at byte %zu",
				     (size_t)(nul - o->command));
	return 0;
}

static int check_standalone(const struct sos_exec_options *o, struct sos_error *error)
{
	if (o->argv && !o->argv[0])
		return sos_error_set(error, SOS_ERROR_INVALID, "argv: empty");
	if (o->flags & SOS_EXEC_STANDALONE) {
		if (o->stdin_length && !o->stdin_data)
			return sos_error_set(error, SOS_ERROR_INVALID, "stdin: a length without data");
		return 0;
	}
	if (o->flags & SOS_EXEC_JUDGE)
		return sos_error_set(error, SOS_ERROR_INVALID, "judge: only for standalone commands");
	if (o->argv)
		return sos_error_set(error, SOS_ERROR_INVALID, "argv: only for standalone commands");
	if (o->stdin_data || o->stdin_length)
		return sos_error_set(error, SOS_ERROR_INVALID, "stdin: only for standalone commands");
	if (o->streams)
		return sos_error_set(error, SOS_ERROR_INVALID,
				     "streams: only for standalone commands; those of the "
				     "session are the sandbox's");
	return 0;
}

static int check(const struct sos_exec_options *o, struct sos_command *command, struct sos_error *error)
{
	if (!o->command == !o->argv)
		return sos_error_set(error, SOS_ERROR_INVALID, "command: give either a command or an argv");
	if (o->flags & ~(SOS_EXEC_STANDALONE | SOS_EXEC_JUDGE))
		return sos_error_set(error, SOS_ERROR_INVALID, "flags: 0x%x is unknown", o->flags);
	if (o->streams > SOS_STREAMS_SEPARATE)
		return sos_error_set(error, SOS_ERROR_INVALID, "streams: %u is unknown", o->streams);
	if (o->timeout_ms < 0)
		return sos_error_set(error, SOS_ERROR_INVALID, "timeout_ms: negative");
	if (o->max_output_bytes < 0 || o->max_output_bytes > OUTPUT_MOST)
		return sos_error_set(error, SOS_ERROR_INVALID, "max_output_bytes: between 1 and 1 GiB");
	if (o->exec_id && !sos_exec_id_valid(o->exec_id))
		return sos_error_set(error, SOS_ERROR_INVALID, "exec_id: 1 to 128 letters, digits, _ . : and -");
	int r = check_standalone(o, error);
	if (r)
		return r;
	*command = (struct sos_command){
		.argv = o->argv,
		.stdin_data = o->stdin_data,
		.stdin_length = o->stdin_length,
		.timeout_ms = o->timeout_ms,
		.queue_timeout_ms = o->queue_timeout_ms,
		.max_output_bytes = o->max_output_bytes ? o->max_output_bytes : OUTPUT_DEFAULT,
		.streams = o->streams == SOS_STREAMS_SEPARATE ? SOS_STREAMS_SEPARATE : SOS_STREAMS_MERGED,
		.judge = o->flags & SOS_EXEC_JUDGE,
	};
	return o->command ? check_text(o, command, error) : 0;
}

/* ---- with the lock held ---- */

static int admit(const struct sos_sandbox *sandbox, const struct sos_command *command, bool standalone,
		 struct sos_error *error)
{
	if (atomic_load(&sandbox->pool->closing))
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool of sandbox %.8s is closed", sandbox->id);
	switch (sandbox->state) {
	case SOS_STATE_STARTED:
		break;
	case SOS_STATE_EXITED:
	case SOS_STATE_SESSION_LOST:
		if (!standalone)
			return sos_error_set(error, SOS_ERROR_STATE,
					     "the session of sandbox %.8s is over: %s; standalone commands still work",
					     sandbox->id, sandbox->reason);
		break;
	case SOS_STATE_LOST:
		return sos_error_set(error, SOS_ERROR_LOST, "sandbox %.8s is lost: %s", sandbox->id, sandbox->reason);
	case SOS_STATE_STOPPING:
	case SOS_STATE_STOPPED:
		return sos_error_set(error, SOS_ERROR_STATE, "sandbox %.8s is stopped%s%s", sandbox->id,
				     *sandbox->reason ? ": " : "", sandbox->reason);
	default:
		return sos_error_set(error, SOS_ERROR_STATE, "sandbox %.8s is not started", sandbox->id);
	}
	if (sandbox->shell == SOS_SHELL_NONE && !command->argv)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED,
				     "image \"%.200s\" has no shell: only standalone commands with an argv work",
				     sandbox->spec->image);
	return 0;
}

/* The result of one that runs or ran. */
static int await(struct sos_sandbox *sandbox, struct sos_exec *exec, int64_t deadline, struct sos_cancel *cancel,
		 struct sos_result **result, struct sos_error *error)
{
	int r = 0;
	exec->references++;
	while (!exec->done && !r)
		r = sos_condition_wait(&sandbox->changed, &sandbox->lock, deadline, sos_cancel_fd(cancel));
	if (!exec->done)
		sos_error_set(error, r, "exec \"%s\" still runs%s", exec->id,
			      r == SOS_ERROR_LIMIT ? ", and there is no descriptor to wait by" : "");
	else if (!exec->result)
		r = exec->error ? sos_error_copy(error, exec->error) : sos_error_nomem(error);
	else
		r = 0;
	if (!r)
		*result = sos_result_ref(exec->result);
	sos_exec_unref(exec);
	return r;
}

/* True: the session is over, and the caller owes the event. */
static bool note_result(struct sos_sandbox *sandbox, struct sos_record **record, struct sos_result *result,
			int64_t timestamp_ms)
{
	if (sos_result_standalone(result)) {
		sandbox->has_standalone_exit_code = true;
		sandbox->last_standalone_exit_code = sos_result_exit_code(result);
		return false;
	}
	sandbox->session_commands++;
	if (!sos_history_add(&sandbox->history, *record, result, timestamp_ms))
		*record = NULL;
	if (sos_result_exited(result))
		return sos_sandbox_session_over(sandbox, SOS_SESSION_EXITED);
	return sos_result_session_lost(result) && sos_sandbox_session_over(sandbox, SOS_SESSION_LOST);
}

/* A time limit and a cancel end a command in the same way: which it was is known here. True: it was the cancel. */
static bool note_cancel(struct sos_result *result, const struct sos_cancel *cancel)
{
	if (!result->timed_out || !sos_cancel_fired(cancel))
		return false;
	result->timed_out = false;
	result->cancelled = true;
	return true;
}

/* A session that is over because its container was taken away: that is what the caller wants to know. */
static int real_reason(const struct sos_sandbox *sandbox, struct sos_error *error)
{
	if (sandbox->state == SOS_STATE_LOST)
		return sos_error_set(error, SOS_ERROR_LOST, "sandbox %.8s is lost: %s", sandbox->id, sandbox->reason);
	return sos_error_set(error, SOS_ERROR_ENDED, "sandbox %.8s was stopped", sandbox->id);
}

/* ---- ---- */

static void tell(struct sos_sandbox *sandbox, const struct sos_result *result, bool over)
{
	struct sos_pool *pool = sandbox->pool;
	if (result)
		sos_event(pool, SOS_EVENT_COMMAND, sandbox->id, 0, "%s %s: code %d%s, %lld ms",
			  sos_result_standalone(result) ? "standalone" : "command", sos_result_exec_id(result),
			  sos_result_exit_code(result),
			  sos_result_timed_out(result)	 ? ", timed out"
			  : sos_result_cancelled(result) ? ", cancelled"
							 : "",
			  (long long)(sos_result_duration_ns(result) / 1000000));
	if (over)
		sos_event(pool, SOS_EVENT_SESSION_ENDED, sandbox->id, 0, "the session is over");
}

/* An error that tells what became of the command; after others the same id may be tried again. */
static bool is_final(int code)
{
	return code == SOS_ERROR_ENDED || code == SOS_ERROR_LOST;
}

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return (hash ^ length) * 0x100000001b3u;
}

/* The same id is for the same command only: an answer to another one would pass for this one's. */
static uint64_t which_command(const struct sos_command *command, uint32_t flags)
{
	uint64_t hash = mix(0xcbf29ce484222325u, &flags, sizeof(flags));
	if (command->text)
		hash = mix(hash, command->text, command->text_length);
	for (const char *const *arg = command->argv; arg && *arg; arg++)
		hash = mix(hash, *arg, strlen(*arg));
	return mix(hash, command->stdin_data, command->stdin_length) | 1;
}

static int perform(struct sos_sandbox *sandbox, struct sos_command *command, const struct sos_exec_options *options,
		   struct sos_record **record, struct sos_result **result, struct sos_error *error)
{
	bool standalone = options->flags & SOS_EXEC_STANDALONE;
	const char *exec_id = options->exec_id;
	int cancel_fd = sos_cancel_fd(options->cancel);
	uint64_t which = exec_id ? which_command(command, options->flags) : 0;
	pthread_mutex_lock(&sandbox->lock);
	struct sos_exec *exec = exec_id ? sos_execs_find(&sandbox->execs, exec_id) : NULL;
	int r;
	if (exec || (r = admit(sandbox, command, standalone, error)) ||
	    (!(exec = sos_execs_add(&sandbox->execs, exec_id)) && (r = sos_error_nomem(error)))) {
		if (exec && exec->command && exec->command != which)
			r = sos_error_set(error, SOS_ERROR_INVALID,
					  "exec_id: \"%.128s\" was given to another command already", exec_id);
		else if (exec)
			r = await(sandbox, exec, SOS_CLOCK_NEVER, options->cancel, result, error);
		pthread_mutex_unlock(&sandbox->lock);
		return r;
	}
	exec->command = which;
	struct sos_run *run = sandbox->run;
	enum sos_shell shell = sandbox->shell;
	unsigned *running = standalone ? &sandbox->standalone_running : &sandbox->session_running;
	sos_run_pin(run);
	++*running;
	if (command->judge)
		sandbox->judged = true;
	pthread_mutex_unlock(&sandbox->lock);

	int64_t given = sos_clock_ns();
	struct sos_error e = SOS_ERROR_INIT;
	struct sos_result *got = NULL;
	command->exec_id = exec->id;
	r = standalone ? sos_standalone_exec(run->link, shell, command, cancel_fd, &got, &e)
		       : sos_session_exec(run->session, command, cancel_fd, &got, &e);
	bool cancelled = !r && note_cancel(got, options->cancel);
	/* The shell may have ended between commands, or the container with all of it. */
	bool is_over = r == SOS_ERROR_STATE && !standalone, cut = is_over && sos_link_ended(run->link);
	enum sos_session_end ended = is_over && !cut ? sos_session_state(run->session) : SOS_SESSION_ALIVE;

	pthread_mutex_lock(&sandbox->lock);
	--*running;
	sandbox->idle_since = sos_clock_ns();
	bool over;
	if (r) {
		over = sos_sandbox_session_over(sandbox, ended);
		if (cut)
			r = real_reason(sandbox, &e);
		sos_execs_fail(&sandbox->execs, exec, &e, is_final(r));
	} else {
		over = note_result(sandbox, record, got, (given - sandbox->started_ns) / 1000000);
		/* Of a session nothing is left then, whether it has noticed yet or not. */
		if (command->judge)
			over = sos_sandbox_session_over(sandbox, SOS_SESSION_LOST);
		sos_execs_finish(&sandbox->execs, exec, got);
	}
	sos_exec_unref(exec);
	sos_condition_notify(&sandbox->changed);
	/* Not pinned while it tells, for the callback may stop the sandbox; but the pool's end waits. */
	bool tells = sandbox->pool->event != NULL;
	if (tells)
		sos_pool_tells(sandbox->pool);
	sos_run_unpin_locked(run);
	pthread_mutex_unlock(&sandbox->lock);
	if (tells) {
		tell(sandbox, got, over);
		sos_pool_told(sandbox->pool);
	}
	if (r)
		return sos_error_copy(error, &e);
	if (cancelled) {
		sos_result_unref(got);
		return sos_error_set(error, SOS_ERROR_CANCELLED, "the command was cancelled and interrupted");
	}
	*result = got;
	return 0;
}

int sos_sandbox_exec(struct sos_sandbox *sandbox, const struct sos_exec_options *options, struct sos_result **result,
		     struct sos_error *error)
{
	struct sos_exec_options o;
	struct sos_command command;
	if (!options)
		return sos_error_set(error, SOS_ERROR_INVALID, "options: NULL");
	if (!sos_spec_copy_sized(&o, sizeof(o), options, options->size))
		return sos_error_set(error, SOS_ERROR_INVALID, "options: their size %zu is not of a version known here",
				     options->size);
	int r = check(&o, &command, error);
	if (r)
		return r;
	if (sos_cancel_fired(o.cancel))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled before the command was run");
	struct sos_record *record = NULL;
	if (!(o.flags & SOS_EXEC_STANDALONE) && !(record = sos_record_new(command.text, command.text_length)))
		return sos_error_nomem(error);
	r = perform(sandbox, &command, &o, &record, result, error);
	sos_record_unref(record);
	return r;
}

int sos_sandbox_run(struct sos_sandbox *sandbox, const char *command, struct sos_result **result,
		    struct sos_error *error)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	options.command = command;
	return sos_sandbox_exec(sandbox, &options, result, error);
}

int sos_sandbox_get_result(struct sos_sandbox *sandbox, const char *exec_id, int64_t wait_ms,
			   struct sos_cancel *cancel, struct sos_result **result, struct sos_error *error)
{
	if (!exec_id || !sos_exec_id_valid(exec_id))
		return sos_error_set(error, SOS_ERROR_NOT_FOUND, "an exec_id is 1 to 128 letters, digits, _ . : and -");
	if (sos_cancel_fired(cancel))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	int64_t deadline = wait_ms < 0 ? SOS_CLOCK_NEVER : wait_ms == 0 ? 0 : sos_clock_deadline(wait_ms);
	SOS_LOCKED(&sandbox->lock);
	struct sos_exec *exec = sos_execs_find(&sandbox->execs, exec_id);
	if (!exec)
		return sos_error_set(error, SOS_ERROR_NOT_FOUND, "no exec \"%.128s\" in sandbox %.8s", exec_id,
				     sandbox->id);
	return await(sandbox, exec, deadline, cancel, result, error);
}
