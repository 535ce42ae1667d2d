/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "util/error.h"
#include "util/guard.h"

struct sos_engine {
	char address[8];
};

struct sos_engine_stream {
	int nothing;
};

static int step(enum fake_step which, const struct sos_engine_call *call, bool *effect, struct sos_error *error)
{
	bool ignored;
	int r = fake_hang(which, call->deadline, call->cancel_fd, -1, error);
	*(effect ? effect : &ignored) = false;
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	return fake_failure(which, effect ? effect : &ignored, error);
}

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
	free(image->id);
	image->user = image->id = NULL;
}

int sos_engine_image_inspect(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			     struct sos_engine_image *image, struct sos_error *error)
{
	(void)engine;
	int r = step(FAKE_IMAGE, call, NULL, error);
	if (r)
		return r;
	SOS_LOCKED(&fake.lock);
	if (fake.images_missing)
		return sos_error_set(error, SOS_ERROR_NOT_FOUND, "no image %s", reference);
	image->user = strdup("");
	return asprintf(&image->id, "sha256:%u", fake.image_version) < 0 ? SOS_ERROR_MEMORY : 0;
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
	SOS_LOCKED(&fake.lock);
	if (!r && spec->bind_source && fake.no_bind)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED, "no such bind source");
	if (effect) {
		char made[65];
		fake_add_container(spec->name, label(spec, "sos.pool"), label(spec, "sos.nonce"), made);
		if (!r)
			*id = strdup(made);
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
	SOS_LOCKED(&fake.lock);
	for (int i = 0; effect && i < fake.container_count; i++) {
		if (strcmp(fake.containers[i].id, id))
			continue;
		fake.containers[i] = fake.containers[--fake.container_count];
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
	SOS_LOCKED(&fake.lock);
	const char *equals = strchr(labels[0], '=');
	bool by_nonce = !strncmp(labels[0], "sos.nonce", 9);
	*found = calloc((size_t)fake.container_count + 1, sizeof(**found));
	*count = 0;
	for (int i = 0; i < fake.container_count; i++) {
		if (strcmp(by_nonce ? fake.containers[i].nonce : fake.containers[i].pool, equals + 1))
			continue;
		(*found)[*count].id = strdup(fake.containers[i].id);
		(*found)[(*count)++].name = strdup(fake.containers[i].name);
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
	SOS_LOCKED(&fake.lock);
	fake.network_count++;
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
	SOS_LOCKED(&fake.lock);
	fake.network_count = 0;
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
