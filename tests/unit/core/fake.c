/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lock: `lock` guards everything; the callbacks of links run without it. */

#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/link.h"
#include "core/loop.h"
#include "core/result.h"
#include "core/session.h"
#include "engine/engine.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define MOST 256

struct container {
	char id[65], name[128], pool[80], nonce[40];
};

struct sos_engine {
	char address[8];
};

struct sos_link {
	struct sos_link_options options;
	struct sos_loop *loop;
	struct sos_timer timer;
	int ended_fd; /* readable once it ended */
	int code;
	bool attached, told;
	char reason[128];
};

struct sos_session {
	struct sos_link *link;
	enum sos_session_end end;
	uint64_t sequence;
};

struct sos_engine_stream {
	int nothing;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
	int code, times;
	bool took_effect;
	char message[256];
	int gate; /* an eventfd while it hangs; readable: go on */
	bool hangs;
	int hanging, calls;
} steps[FAKE_STEPS];
static struct container containers[MOST];
static struct sos_link *links[MOST];
static int container_count, most_containers, link_count, session_count, network_count;
static unsigned next_id = 1;
static bool images_missing, no_socket, no_bind;

void fake_fail(enum fake_step step, int code, int times, bool took_effect, const char *message)
{
	SOS_LOCKED(&lock);
	steps[step].code = code;
	steps[step].times = times;
	steps[step].took_effect = took_effect;
	snprintf(steps[step].message, sizeof(steps[step].message), "%s", message ? message : "made to fail");
}

void fake_block(enum fake_step step)
{
	SOS_LOCKED(&lock);
	steps[step].hangs = true;
	steps[step].gate = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void fake_release(enum fake_step step)
{
	SOS_LOCKED(&lock);
	steps[step].hangs = false;
	eventfd_write(steps[step].gate, 1);
}

void fake_wait_blocked(enum fake_step step, int count)
{
	SOS_LOCKED(&lock);
	while (steps[step].hanging < count)
		pthread_cond_wait(&changed, &lock);
}

int fake_calls(enum fake_step step)
{
	SOS_LOCKED(&lock);
	return steps[step].calls;
}

/* Hang where the test wants it. 0, or why it ended. */
static int hang(enum fake_step step, int64_t deadline, int cancel_fd, int ended_fd, struct sos_error *error)
{
	pthread_mutex_lock(&lock);
	steps[step].calls++;
	bool hangs = steps[step].hangs;
	struct pollfd fds[3] = {
		{ .fd = steps[step].gate, .events = POLLIN },
		{ .fd = cancel_fd, .events = POLLIN },
		{ .fd = ended_fd, .events = POLLIN },
	};
	steps[step].hanging += hangs;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (!hangs)
		return 0;
	int r = poll(fds, 3, sos_clock_poll_ms(deadline));
	pthread_mutex_lock(&lock);
	steps[step].hanging--;
	pthread_mutex_unlock(&lock);
	if (r == 0)
		return sos_error_set(error, SOS_ERROR_DEADLINE, "hung");
	if (fds[1].revents)
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	if (fds[2].revents)
		return sos_error_set(error, SOS_ERROR_ENDED, "ended");
	return 0;
}

/* With the lock. The failure of that step, if one is due; *effect says whether it happens all the same. */
static int failure(enum fake_step step, bool *effect, struct sos_error *error)
{
	*effect = true;
	if (steps[step].times <= 0)
		return 0;
	steps[step].times--;
	*effect = steps[step].took_effect;
	return sos_error_set(error, steps[step].code, "%s", steps[step].message);
}

static int step(enum fake_step which, const struct sos_engine_call *call, bool *effect, struct sos_error *error)
{
	bool ignored;
	int r = hang(which, call->deadline, call->cancel_fd, -1, error);
	*(effect ? effect : &ignored) = false;
	if (r)
		return r;
	SOS_LOCKED(&lock);
	return failure(which, effect ? effect : &ignored, error);
}

/* ---- the Engine ---- */

int sos_engine_new(const char *address, struct sos_engine **engine, struct sos_error *error)
{
	(void)address;
	(void)error;
	*engine = calloc(1, sizeof(**engine));
	return 0;
}

void sos_engine_free(struct sos_engine *engine)
{
	free(engine);
}

const char *sos_engine_address(const struct sos_engine *engine)
{
	(void)engine;
	return "fake";
}

bool sos_engine_is_local(const struct sos_engine *engine)
{
	(void)engine;
	return true;
}

int sos_engine_connect(struct sos_engine *engine, const struct sos_engine_call *call, struct sos_engine_facts *facts,
		       struct sos_error *error)
{
	(void)engine;
	snprintf(facts->id, sizeof(facts->id), "FAKE:%ld", (long)getpid());
	facts->has_memory_limit = facts->has_pids_limit = facts->has_cpu_quota = true;
	return step(FAKE_CONNECT, call, NULL, error);
}

int sos_engine_ping(struct sos_engine *engine, const struct sos_engine_call *call, struct sos_error *error)
{
	(void)engine;
	return step(FAKE_CONNECT, call, NULL, error);
}

void sos_engine_image_clear(struct sos_engine_image *image)
{
	free(image->user);
	image->user = NULL;
}

int sos_engine_image_inspect(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			     struct sos_engine_image *image, struct sos_error *error)
{
	(void)engine;
	int r = step(FAKE_IMAGE, call, NULL, error);
	if (r)
		return r;
	SOS_LOCKED(&lock);
	if (images_missing)
		return sos_error_set(error, SOS_ERROR_NOT_FOUND, "no image %s", reference);
	image->user = strdup("");
	return 0;
}

int sos_engine_image_pull(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			  sos_engine_pull_cb progress, void *data, struct sos_error *error)
{
	(void)engine;
	(void)reference;
	progress(data, "layer", 1, 2);
	int r = step(FAKE_PULL, call, NULL, error);
	if (!r)
		fake_images_missing(false);
	return r;
}

void fake_images_missing(bool missing)
{
	SOS_LOCKED(&lock);
	images_missing = missing;
}

static struct container *add_container(const char *name, const char *pool, const char *nonce)
{
	struct container *c = &containers[container_count++];
	snprintf(c->id, sizeof(c->id), "%064u", next_id++);
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->pool, sizeof(c->pool), "%s", pool);
	snprintf(c->nonce, sizeof(c->nonce), "%s", nonce);
	if (container_count > most_containers)
		most_containers = container_count;
	return c;
}

static const char *label(const struct sos_engine_container_spec *spec, const char *name)
{
	for (const struct sos_engine_pair *pair = spec->labels; pair->name; pair++)
		if (!strcmp(pair->name, name))
			return pair->value;
	return "";
}

int sos_engine_container_create(struct sos_engine *engine, const struct sos_engine_container_spec *spec,
				const struct sos_engine_call *call, char **id, struct sos_error *error)
{
	(void)engine;
	bool effect;
	int r = step(FAKE_CREATE, call, &effect, error);
	SOS_LOCKED(&lock);
	if (!r && spec->bind_source && no_bind)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "no such bind source");
	if (effect) {
		struct container *c = add_container(spec->name, label(spec, "sos.pool"), label(spec, "sos.nonce"));
		if (!r)
			*id = strdup(c->id);
	}
	return r;
}

int sos_engine_container_start(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			       struct sos_error *error)
{
	(void)engine;
	(void)id;
	return step(FAKE_START, call, NULL, error);
}

int sos_engine_container_remove(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
				struct sos_error *error)
{
	(void)engine;
	bool effect;
	int r = step(FAKE_REMOVE, call, &effect, error);
	SOS_LOCKED(&lock);
	for (int i = 0; effect && i < container_count; i++) {
		if (strcmp(containers[i].id, id))
			continue;
		containers[i] = containers[--container_count];
		break;
	}
	return r;
}

void sos_engine_container_clear(struct sos_engine_container *container)
{
	(void)container;
}

int sos_engine_container_inspect(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
				 struct sos_engine_container *container, struct sos_error *error)
{
	(void)engine;
	(void)id;
	container->pid = 1;
	container->oom_killed = true;
	return step(FAKE_INSPECT, call, NULL, error);
}

int sos_engine_container_list(struct sos_engine *engine, const char *const *labels, const struct sos_engine_call *call,
			      struct sos_engine_container **found, size_t *count, struct sos_error *error)
{
	(void)engine;
	int r = step(FAKE_LIST, call, NULL, error);
	if (r)
		return r;
	SOS_LOCKED(&lock);
	const char *equals = strchr(labels[0], '=');
	bool by_nonce = !strncmp(labels[0], "sos.nonce", 9);
	*found = calloc((size_t)container_count + 1, sizeof(**found));
	*count = 0;
	for (int i = 0; i < container_count; i++) {
		if (strcmp(by_nonce ? containers[i].nonce : containers[i].pool, equals + 1))
			continue;
		(*found)[*count].id = strdup(containers[i].id);
		(*found)[(*count)++].name = strdup(containers[i].name);
	}
	return 0;
}

void sos_engine_container_list_free(struct sos_engine_container *found, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(found[i].id);
		free(found[i].name);
	}
	free(found);
}

int sos_engine_archive_put(struct sos_engine *engine, const char *id, const char *path, const void *tar, size_t length,
			   const struct sos_engine_call *call, struct sos_error *error)
{
	(void)engine;
	(void)id;
	(void)path;
	(void)tar;
	(void)length;
	return step(FAKE_PUT, call, NULL, error);
}

int sos_engine_archive_size(struct sos_engine *engine, const char *id, const char *path,
			    const struct sos_engine_call *call, int64_t *size, struct sos_error *error)
{
	(void)engine;
	(void)id;
	(void)path;
	(void)size;
	int r = step(FAKE_SIZE, call, NULL, error);
	return r ? r : sos_error_set(error, SOS_ERROR_NOT_FOUND, "empty");
}

int sos_engine_volume_create(struct sos_engine *engine, const char *name, const struct sos_engine_pair *labels,
			     const struct sos_engine_call *call, struct sos_error *error)
{
	(void)engine;
	(void)name;
	(void)labels;
	return step(FAKE_VOLUME, call, NULL, error);
}

int sos_engine_network_create(struct sos_engine *engine, const char *name, const struct sos_engine_pair *labels,
			      const struct sos_engine_call *call, char **id, struct sos_error *error)
{
	(void)engine;
	(void)labels;
	int r = step(FAKE_NETWORK, call, NULL, error);
	if (r)
		return r;
	SOS_LOCKED(&lock);
	network_count++;
	*id = strdup(name);
	return 0;
}

int sos_engine_network_remove(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			      struct sos_error *error)
{
	(void)engine;
	(void)id;
	(void)call;
	(void)error;
	SOS_LOCKED(&lock);
	network_count = 0;
	return 0;
}

int sos_engine_network_list(struct sos_engine *engine, const char *const *labels, const struct sos_engine_call *call,
			    char ***ids, size_t *count, struct sos_error *error)
{
	(void)engine;
	(void)labels;
	(void)call;
	(void)error;
	*ids = NULL;
	*count = 0;
	return 0;
}

int sos_engine_attach(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
		      struct sos_engine_stream **stream, struct sos_error *error)
{
	(void)engine;
	(void)id;
	int r = step(FAKE_ATTACH, call, NULL, error);
	if (!r)
		*stream = calloc(1, sizeof(**stream));
	return r;
}

/* ---- links ---- */

static void tell_lost(struct sos_timer *timer)
{
	struct sos_link *link = sos_list_entry(timer, struct sos_link, timer);
	link->options.lost(link->options.data, link->code, link->reason);
}

int sos_link_new(struct sos_loop *loop, const struct sos_link_options *options, struct sos_link **link,
		 struct sos_error *error)
{
	bool effect;
	SOS_LOCKED(&lock);
	steps[FAKE_LINK].calls++;
	int r = failure(FAKE_LINK, &effect, error);
	if (r)
		return r;
	struct sos_link *l = calloc(1, sizeof(*l));
	l->options = *options;
	l->loop = loop;
	l->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sos_timer_init(&l->timer, tell_lost);
	links[link_count++] = l;
	*link = l;
	return 0;
}

void sos_link_free(struct sos_link *link)
{
	if (!link)
		return;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < link_count; i++)
		if (links[i] == link) {
			links[i] = links[--link_count];
			break;
		}
	pthread_mutex_unlock(&lock);
	sos_timer_cancel(link->loop, &link->timer);
	close(link->ended_fd);
	free(link);
}

int sos_link_attach(struct sos_link *link, struct sos_engine_stream *stream, bool socket_too, struct sos_error *error)
{
	(void)error;
	free(stream);
	link->attached = !socket_too;
	return 0;
}

void sos_link_set_pid(struct sos_link *link, pid_t pid)
{
	(void)link;
	(void)pid;
}

int sos_link_wait(struct sos_link *link, int64_t deadline, int cancel_fd, struct sos_error *error)
{
	bool effect;
	int r = hang(FAKE_WAIT, deadline, cancel_fd, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&lock);
	if (no_socket && !link->attached)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "no nonce");
	return failure(FAKE_WAIT, &effect, error);
}

int sos_link_set_up(struct sos_link *link, const struct sos_link_setup *setup, int64_t deadline, enum sos_shell *shell,
		    struct sos_error *error)
{
	bool effect;
	(void)setup;
	*shell = SOS_SHELL_BASH;
	int r = hang(FAKE_SET_UP, deadline, -1, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&lock);
	return failure(FAKE_SET_UP, &effect, error);
}

void sos_link_end(struct sos_link *link, int code, const char *reason)
{
	SOS_LOCKED(&lock);
	if (!link->code) {
		link->code = code;
		snprintf(link->reason, sizeof(link->reason), "%s", reason);
	}
	eventfd_write(link->ended_fd, 1);
}

bool sos_link_ended(struct sos_link *link)
{
	SOS_LOCKED(&lock);
	return link->code != 0;
}

void fake_lose(int code, const char *reason)
{
	SOS_LOCKED(&lock);
	for (int i = 0; i < link_count; i++) {
		struct sos_link *link = links[i];
		if (link->code)
			continue;
		link->code = code;
		snprintf(link->reason, sizeof(link->reason), "%s", reason);
		eventfd_write(link->ended_fd, 1);
		sos_timer_set(link->loop, &link->timer, 0);
	}
}

/* ---- sessions ---- */

int sos_session_open(struct sos_link *link, enum sos_shell shell, enum sos_streams streams, int64_t deadline,
		     struct sos_session **session, struct sos_error *error)
{
	bool effect;
	(void)shell;
	(void)streams;
	int r = hang(FAKE_OPEN, deadline, -1, link->ended_fd, error);
	if (r)
		return r;
	SOS_LOCKED(&lock);
	if ((r = failure(FAKE_OPEN, &effect, error)))
		return r;
	*session = calloc(1, sizeof(**session));
	(*session)->link = link;
	session_count++;
	return 0;
}

void sos_session_free(struct sos_session *session)
{
	if (!session)
		return;
	SOS_LOCKED(&lock);
	session_count--;
	free(session);
}

/* "exit N" ends the session, "fail N" gives that code; anything else is its own output. */
int sos_session_exec(struct sos_session *session, const struct sos_command *command, int cancel_fd,
		     struct sos_result **result, struct sos_error *error)
{
	int r = hang(FAKE_EXEC, SOS_CLOCK_NEVER, cancel_fd, session->link->ended_fd, error);
	if (r && r != SOS_ERROR_CANCELLED)
		return r == SOS_ERROR_ENDED ? sos_error_set(error, session->link->code, "%s", session->link->reason) : r;
	struct sos_result *got = sos_result_new(command->exec_id, false, false);
	got->timed_out = r == SOS_ERROR_CANCELLED;
	sos_buffer_append(&got->output, command->text, command->text_length);
	SOS_LOCKED(&lock);
	got->sequence = ++session->sequence;
	got->exited = !strncmp(command->text, "exit ", 5);
	if (got->exited)
		session->end = SOS_SESSION_EXITED;
	if (got->exited || !strncmp(command->text, "fail ", 5))
		got->exit_code = atoi(command->text + 5);
	*result = got;
	return 0;
}

enum sos_session_end sos_session_state(struct sos_session *session)
{
	SOS_LOCKED(&lock);
	return session->end;
}

int sos_standalone_exec(struct sos_link *link, enum sos_shell shell, const struct sos_command *command,
			struct sos_result **result, struct sos_error *error)
{
	(void)link;
	(void)shell;
	(void)error;
	*result = sos_result_new(command->exec_id, true, false);
	return 0;
}

const void *sos_init_image(size_t *length)
{
	*length = 4;
	return "init";
}

void sos_init_hash(char hex[17])
{
	snprintf(hex, 17, "0123456789abcdef");
}

/* ---- what is there ---- */

int fake_containers(void)
{
	SOS_LOCKED(&lock);
	return container_count;
}

int fake_most_containers(void)
{
	SOS_LOCKED(&lock);
	return most_containers;
}

int fake_links(void)
{
	SOS_LOCKED(&lock);
	return link_count;
}

int fake_sessions(void)
{
	SOS_LOCKED(&lock);
	return session_count;
}

int fake_networks(void)
{
	SOS_LOCKED(&lock);
	return network_count;
}

void fake_leave(const char *pool)
{
	SOS_LOCKED(&lock);
	add_container("left", pool, "none");
}

void fake_no_socket(bool at_create)
{
	SOS_LOCKED(&lock);
	no_socket = true;
	no_bind = at_create;
}
