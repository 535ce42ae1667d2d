/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The engine layer on a real Engine. run.py prepares what the environment
 * names: SOS_TEST_ADDRESS, SOS_TEST_IMAGE, and in a registry of its own
 * SOS_TEST_PULL, SOS_TEST_BROKEN (its layer is missing), SOS_TEST_HANGING
 * (never answers), SOS_TEST_ABSENT. SOS_TEST_PREFIX begins every name. */
#include "engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit/unit.h"
#include "util/buffer.h"
#include "util/clock.h"
#include "wire/tar.h"

static struct sos_engine *engine;
static struct sos_engine_call call;
static struct sos_error error;

#define OK(expression)                                                                                                 \
	do {                                                                                                           \
		int ok_result = (expression);                                                                          \
		if (ok_result < 0)                                                                                     \
			ck_abort_msg("%s: %d: %s", #expression, ok_result, error.message);                             \
	} while (0)

static const char *setting(const char *name)
{
	const char *value = getenv(name);
	if (!value)
		ck_abort_msg("%s is not set: start run.py", name);
	return value;
}

static const char *named(const char *suffix)
{
	static char names[8][128];
	static unsigned int next;
	char *name = names[next++ % 8];
	snprintf(name, sizeof(names[0]), "%s-%d-%s", setting("SOS_TEST_PREFIX"), (int)getpid(), suffix);
	return name;
}

static void begin(void)
{
	struct sos_engine_facts facts;
	error = (struct sos_error)SOS_ERROR_INIT;
	call = (struct sos_engine_call){ sos_clock_deadline(90000), -1 };
	OK(sos_engine_new(setting("SOS_TEST_ADDRESS"), &engine, &error));
	OK(sos_engine_connect(engine, &call, &facts, &error));
}

static void end(void)
{
	sos_engine_free(engine);
}

static const struct sos_engine_pair *labels(void)
{
	static struct sos_engine_pair list[2];
	list[0] = (struct sos_engine_pair){ "sos.test.engine", setting("SOS_TEST_PREFIX") };
	return list;
}

static const char *const *filter(void)
{
	static char text[128];
	static const char *const list[] = { text, NULL };
	snprintf(text, sizeof(text), "sos.test.engine=%s", setting("SOS_TEST_PREFIX"));
	return list;
}

static struct sos_engine_container_spec spec(const char *name, const char *const *entrypoint)
{
	return (struct sos_engine_container_spec){
		.name = name,
		.image = setting("SOS_TEST_IMAGE"),
		.entrypoint = entrypoint,
		.labels = labels(),
		.user = "0:0",
		.open_stdin = true,
	};
}

/* Read until `want` bytes of stdout or the end. */
static void read_stream(struct sos_engine_stream *stream, size_t want, struct sos_buffer *out, struct sos_buffer *err)
{
	char data[8192];
	while (out->length < want) {
		bool is_stderr = false;
		ssize_t n = sos_engine_stream_read(stream, data, sizeof(data), &is_stderr);
		if (n == -EAGAIN) {
			struct pollfd p = { .fd = sos_engine_stream_fd(stream), .events = POLLIN };
			if (poll(&p, 1, 60000) == 0)
				ck_abort_msg("nothing comes after: %s", out->data ? out->data : "");
			continue;
		}
		ck_assert_int_ge(n, 0);
		if (n == 0)
			return;
		ck_assert_int_eq(sos_buffer_append(is_stderr ? err : out, data, (size_t)n), 0);
	}
}

START_TEST(facts)
{
	struct sos_engine_facts f = { 0 };
	begin();
	OK(sos_engine_connect(engine, &call, &f, &error));
	OK(sos_engine_ping(engine, &call, &error));
	ck_assert_int_ne(f.id[0], 0);
	ck_assert_int_ne(f.version[0], 0);
	ck_assert_int_ne(f.architecture[0], 0);
	ck_assert(f.cgroup_version[0] == '1' || f.cgroup_version[0] == '2');
	ck_assert_int_eq(strncmp(f.api_version, "1.", 2), 0);
	ck_assert(f.has_memory_limit);
	end();
}
END_TEST

START_TEST(life_cycle)
{
	static const char *const entrypoint[] = { "/bin/sh", "-c", "echo err >&2; while read l; do eval \"$l\"; done",
						  NULL };
	static const char *const environment[] = { "MINE=yes", NULL }, *const all[] = { "ALL", NULL },
				 *const kill[] = { "KILL", NULL };
	struct sos_engine_container_spec s = spec(named("cycle"), entrypoint);
	struct sos_engine_stream *stream = NULL;
	struct sos_engine_container c = { 0 };
	struct sos_buffer out = SOS_BUFFER_INIT, err = SOS_BUFFER_INIT;
	char *id = NULL;
	begin();
	s.environment = environment;
	s.cap_drop = all;
	s.cap_add = kill;
	s.memory_bytes = 64 << 20;
	s.pids_limit = 32;
	s.nano_cpus = 500000000;
	s.no_new_privileges = true;
	s.bind_source = "/usr/share";
	s.bind_target = "/shared";
	OK(sos_engine_container_create(engine, &s, &call, &id, &error));
	OK(sos_engine_attach(engine, id, &call, &stream, &error));
	OK(sos_engine_container_start(engine, id, &call, &error));
	OK(sos_engine_container_inspect(engine, id, &call, &c, &error));
	ck_assert(c.running && c.pid > 0);
	ck_assert_str_eq(c.name, s.name);
	ck_assert_str_eq(c.state, "running");
	sos_engine_container_clear(&c);

	static const char script[] =
		"echo $MINE $PWD; grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /sys/class/net; "
		"touch /shared/x 2>/dev/null || echo read-only; exit\n";
	ck_assert_int_eq(sos_engine_stream_write(stream, script, sizeof(script) - 1), (ssize_t)sizeof(script) - 1);
	read_stream(stream, SIZE_MAX, &out, &err);
	ck_assert_str_eq(out.data, "yes /\nCapEff:\t0000000000000020\nNoNewPrivs:\t1\nlo\nread-only\n");
	ck_assert_str_eq(err.data, "err\n");
	sos_engine_stream_free(stream);

	struct sos_engine_container *list;
	size_t count;
	OK(sos_engine_container_list(engine, filter(), &call, &list, &count, &error));
	bool found = false;
	for (size_t i = 0; i < count; i++)
		found = found ||
			(strcmp(list[i].id, id) == 0 && strcmp(list[i].labels[0].name, "sos.test.engine") == 0);
	ck_assert(found);
	sos_engine_container_list_free(list, count);

	OK(sos_engine_container_remove(engine, id, &call, &error));
	OK(sos_engine_container_remove(engine, id, &call, &error));
	ck_assert_int_eq(sos_engine_container_inspect(engine, id, &call, &c, &error), SOS_ERROR_NOT_FOUND);
	ck_assert_int_eq(sos_engine_container_start(engine, id, &call, &error), SOS_ERROR_NOT_FOUND);
	ck_assert_int_eq(sos_engine_attach(engine, id, &call, &stream, &error), SOS_ERROR_NOT_FOUND);
	free(id);
	sos_buffer_free(&out);
	sos_buffer_free(&err);
	end();
}
END_TEST

START_TEST(create_errors)
{
	static const char *const entrypoint[] = { "/bin/sh", NULL };
	struct sos_engine_container_spec s = spec(named("errors"), entrypoint);
	char *id = NULL, *second = NULL;
	begin();
	s.image = "sos-test-engine-nowhere:nope";
	ck_assert_int_eq(sos_engine_container_create(engine, &s, &call, &id, &error), SOS_ERROR_IMAGE);
	ck_assert_str_eq(
		error.message,
		"image \"sos-test-engine-nowhere:nope\": not found: No such image: sos-test-engine-nowhere:nope (404)");
	s.image = setting("SOS_TEST_IMAGE");
	s.bind_source = "/nowhere/at/all";
	s.bind_target = "/x";
	ck_assert_int_eq(sos_engine_container_create(engine, &s, &call, &id, &error), SOS_ERROR_UNSUPPORTED);
	s.bind_source = NULL;
	s.runtime = "no-such-runtime";
	ck_assert_int_eq(sos_engine_container_create(engine, &s, &call, &id, &error), SOS_ERROR_ENGINE);
	ck_assert_ptr_nonnull(strstr(error.message, "no-such-runtime"));
	s.runtime = NULL;
	OK(sos_engine_container_create(engine, &s, &call, &id, &error));
	ck_assert_int_eq(sos_engine_container_create(engine, &s, &call, &second, &error), SOS_ERROR_OWNED);
	ck_assert_ptr_null(second);
	OK(sos_engine_container_remove(engine, id, &call, &error));
	free(id);
	end();
}
END_TEST

START_TEST(attach_carries_bytes)
{
	static const char *const entrypoint[] = { "/bin/cat", NULL };
	struct sos_engine_container_spec s = spec(named("cat"), entrypoint);
	struct sos_engine_stream *stream = NULL;
	struct sos_buffer out = SOS_BUFFER_INIT, err = SOS_BUFFER_INIT;
	size_t length = 4u << 20, sent = 0;
	char *id = NULL, *data = malloc(length);
	begin();
	for (size_t i = 0; i < length; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	OK(sos_engine_container_create(engine, &s, &call, &id, &error));
	OK(sos_engine_attach(engine, id, &call, &stream, &error));
	OK(sos_engine_container_start(engine, id, &call, &error));
	while (sent < length) {
		ssize_t n = sos_engine_stream_write(stream, data + sent, length - sent > 50000 ? 50000 : length - sent);
		if (n > 0)
			sent += (size_t)n;
		else
			ck_assert_int_eq(n, -EAGAIN);
		size_t want = out.length + 1;
		if (n == -EAGAIN) /* cat waits for its output to be read */
			read_stream(stream, want, &out, &err);
	}
	read_stream(stream, length, &out, &err);
	ck_assert_uint_eq(out.length, length);
	ck_assert_int_eq(memcmp(out.data, data, length), 0);
	OK(sos_engine_container_remove(engine, id, &call, &error));
	out.length = 0;
	read_stream(stream, 1, &out, &err);
	ck_assert_uint_eq(out.length, 0); /* the end, at once */
	sos_engine_stream_free(stream);
	sos_buffer_free(&out);
	sos_buffer_free(&err);
	free(data);
	free(id);
	end();
}
END_TEST

START_TEST(volume_and_archive)
{
	static const char *const entrypoint[] = { "/v/bin/hello", NULL };
	struct sos_engine_container_spec s = spec(named("fill"), entrypoint);
	struct sos_buffer tar = SOS_BUFFER_INIT, out = SOS_BUFFER_INIT, err = SOS_BUFFER_INIT;
	struct sos_engine_stream *stream = NULL;
	const char *volume = named("volume");
	static const char program[] = "#!/bin/sh\necho from the volume; touch /v/x 2>/dev/null || echo and read-only\n";
	char *id = NULL;
	int64_t size = -1;
	begin();
	OK(sos_engine_volume_create(engine, volume, labels(), &call, &error));
	OK(sos_engine_volume_create(engine, volume, labels(), &call, &error));
	s.volume = volume;
	s.volume_target = "/v";
	s.volume_writable = true;
	OK(sos_engine_container_create(engine, &s, &call, &id, &error));
	ck_assert_int_eq(sos_engine_archive_size(engine, id, "/v/bin/hello", &call, &size, &error),
			 SOS_ERROR_NOT_FOUND);
	ck_assert_int_eq(sos_tar_directory(&tar, "bin", 0755), 0);
	ck_assert_int_eq(sos_tar_file(&tar, "bin/hello", 0755, program, sizeof(program) - 1), 0);
	ck_assert_int_eq(sos_tar_end(&tar), 0);
	ck_assert_int_eq(sos_engine_archive_put(engine, id, "/v/not-there", tar.data, tar.length, &call, &error),
			 SOS_ERROR_NOT_FOUND);
	OK(sos_engine_archive_put(engine, id, "/v", tar.data, tar.length, &call, &error));
	OK(sos_engine_archive_size(engine, id, "/v/bin/hello", &call, &size, &error));
	ck_assert_int_eq(size, (int64_t)sizeof(program) - 1);
	ck_assert_int_eq(sos_engine_volume_remove(engine, volume, &call, &error), SOS_ERROR_ENGINE); /* in use */
	OK(sos_engine_container_remove(engine, id, &call, &error));
	free(id);

	s.name = named("use");
	s.volume_writable = false;
	OK(sos_engine_container_create(engine, &s, &call, &id, &error));
	ck_assert_int_eq(sos_engine_archive_put(engine, id, "/v", tar.data, tar.length, &call, &error),
			 SOS_ERROR_ENGINE);
	OK(sos_engine_attach(engine, id, &call, &stream, &error));
	OK(sos_engine_container_start(engine, id, &call, &error));
	read_stream(stream, SIZE_MAX, &out, &err);
	ck_assert_str_eq(out.data, "from the volume\nand read-only\n");
	sos_engine_stream_free(stream);
	OK(sos_engine_container_remove(engine, id, &call, &error));
	free(id);
	OK(sos_engine_volume_remove(engine, volume, &call, &error));
	OK(sos_engine_volume_remove(engine, volume, &call, &error));
	sos_buffer_free(&tar);
	sos_buffer_free(&out);
	sos_buffer_free(&err);
	end();
}
END_TEST

START_TEST(network)
{
	static const char *const entrypoint[] = { "/bin/ls", "/sys/class/net", NULL };
	struct sos_engine_container_spec s = spec(named("on-bridge"), entrypoint);
	struct sos_engine_stream *stream = NULL;
	struct sos_buffer out = SOS_BUFFER_INIT, err = SOS_BUFFER_INIT;
	char *id = NULL, *again = NULL, *container = NULL, **ids;
	size_t count;
	begin();
	OK(sos_engine_network_create(engine, named("net"), labels(), &call, &id, &error));
	OK(sos_engine_network_create(engine, named("net"), labels(), &call, &again, &error));
	ck_assert_str_eq(id, again);
	OK(sos_engine_network_list(engine, filter(), &call, &ids, &count, &error));
	bool found = false;
	for (size_t i = 0; i < count; i++) {
		found = found || strcmp(ids[i], id) == 0;
		free(ids[i]);
	}
	free(ids);
	ck_assert(found);
	s.network = id;
	OK(sos_engine_container_create(engine, &s, &call, &container, &error));
	OK(sos_engine_attach(engine, container, &call, &stream, &error));
	OK(sos_engine_container_start(engine, container, &call, &error));
	read_stream(stream, SIZE_MAX, &out, &err);
	ck_assert_str_eq(out.data, "eth0\nlo\n");
	sos_engine_stream_free(stream);
	OK(sos_engine_container_remove(engine, container, &call, &error));
	OK(sos_engine_network_remove(engine, id, &call, &error));
	OK(sos_engine_network_remove(engine, id, &call, &error));
	free(id);
	free(again);
	free(container);
	sos_buffer_free(&out);
	sos_buffer_free(&err);
	end();
}
END_TEST

static void *remove_it(void *id)
{
	struct sos_error e = SOS_ERROR_INIT;
	struct sos_engine_container c = { 0 };
	if (sos_engine_container_remove(engine, id, &call, &e) < 0)
		return strdup(e.message);
	/* Whoever returns, the container is gone. */
	if (sos_engine_container_inspect(engine, id, &call, &c, &e) != SOS_ERROR_NOT_FOUND)
		return strdup("it is still there");
	return NULL;
}

/* AutoRemove and four callers at once. */
START_TEST(removal_races)
{
	static const char *const entrypoint[] = { "/bin/sleep", "1000", NULL };
	begin();
	for (int round = 0; round < 3; round++) {
		struct sos_engine_container_spec s = spec(named("race"), entrypoint);
		pthread_t thread[4];
		char *id = NULL;
		s.auto_remove = true;
		OK(sos_engine_container_create(engine, &s, &call, &id, &error));
		OK(sos_engine_container_start(engine, id, &call, &error));
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(pthread_create(&thread[i], NULL, remove_it, id), 0);
		for (int i = 0; i < 4; i++) {
			void *failed = NULL;
			pthread_join(thread[i], &failed);
			if (failed)
				ck_abort_msg("%s", (char *)failed);
		}
		free(id);
	}
	end();
}
END_TEST

static void count_pull(void *data, const char *text, int64_t current, int64_t total)
{
	ck_assert_int_ne(text[0], 0);
	ck_assert(current >= 0 && total >= 0);
	++*(int *)data;
}

START_TEST(pulls)
{
	struct sos_engine_image image = { 0 };
	int count = 0;
	const char *name = setting("SOS_TEST_PULL");
	begin();
	ck_assert_int_eq(sos_engine_image_inspect(engine, name, &call, &image, &error), SOS_ERROR_NOT_FOUND);
	OK(sos_engine_image_pull(engine, name, &call, count_pull, &count, &error));
	ck_assert_int_gt(count, 2);
	OK(sos_engine_image_inspect(engine, name, &call, &image, &error));
	ck_assert_str_eq(image.user, "7:8");
	ck_assert_str_eq(image.working_directory, "/bin");
	ck_assert_str_eq(image.environment[0], "OF_THE_IMAGE=yes");
	sos_engine_image_clear(&image);
	OK(sos_engine_image_pull(engine, name, &call, NULL, NULL, &error)); /* is there */
	end();
}
END_TEST

START_TEST(pulls_fail)
{
	char want[256];
	int count = 0;
	begin();
	ck_assert_int_eq(sos_engine_image_pull(engine, setting("SOS_TEST_ABSENT"), &call, count_pull, &count, &error),
			 SOS_ERROR_IMAGE);
	snprintf(want, sizeof(want), "image \"%s\": not found: manifest for ", setting("SOS_TEST_ABSENT"));
	ck_assert_int_eq(strncmp(error.message, want, strlen(want)), 0);
	ck_assert_int_eq(count, 0);
	/* Begins well, so the answer is a 200 with an error inside. */
	ck_assert_int_eq(sos_engine_image_pull(engine, setting("SOS_TEST_BROKEN"), &call, count_pull, &count, &error),
			 SOS_ERROR_IMAGE);
	snprintf(want, sizeof(want), "image \"%s\": pull failed: ", setting("SOS_TEST_BROKEN"));
	if (strncmp(error.message, want, strlen(want)) != 0)
		ck_abort_msg("%s", error.message);
	ck_assert_int_gt(count, 0);
	ck_assert_int_eq(sos_engine_image_pull(engine, "127.0.0.1:1/nobody:there", &call, NULL, NULL, &error),
			 SOS_ERROR_IMAGE);
	ck_assert_ptr_nonnull(strstr(error.message, "connection refused"));
	end();
}
END_TEST

static void *fire(void *fd)
{
	struct timespec soon = { .tv_nsec = 100000000 };
	nanosleep(&soon, NULL); /* into the middle of the wait */
	ck_assert_int_eq(eventfd_write(*(int *)fd, 1), 0);
	return NULL;
}

START_TEST(a_hanging_pull_ends)
{
	pthread_t thread;
	int fd = eventfd(0, EFD_CLOEXEC);
	begin();
	call.cancel_fd = fd;
	ck_assert_int_eq(pthread_create(&thread, NULL, fire, &fd), 0);
	int64_t start = sos_clock_ns();
	ck_assert_int_eq(sos_engine_image_pull(engine, setting("SOS_TEST_HANGING"), &call, NULL, NULL, &error),
			 SOS_ERROR_CANCELLED);
	ck_assert_int_lt(sos_clock_ns() - start, 5000000000);
	pthread_join(thread, NULL);
	call.cancel_fd = -1;
	call.deadline = sos_clock_deadline(100);
	ck_assert_int_eq(sos_engine_image_pull(engine, setting("SOS_TEST_HANGING"), &call, NULL, NULL, &error),
			 SOS_ERROR_DEADLINE);
	call.deadline = sos_clock_deadline(60000);
	OK(sos_engine_ping(engine, &call, &error)); /* and the next call is well */
	close(fd);
	end();
}
END_TEST

UNIT_MAIN("engine_real", facts, life_cycle, create_errors, attach_carries_bytes, volume_and_archive, network,
	  removal_races, pulls, pulls_fail, a_hanging_pull_ends)
