/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sos-init gets into containers by a volume that all of them mount read-only.
 * It is named after the program's hash, so that versions don't meet, and is
 * filled by way of a container that is never started. A cache: nobody's
 * property, and whoever misses it fills it again. */

#include <stdio.h>
#include <string.h>

#include "core/labels.h"
#include "core/pool.h"
#include "core/run.h"
#include "core/session.h"
#include "util/error.h"
#include "wire/frame.h"
#include "wire/tar.h"

void sos_place_volume(char name[32])
{
	char hash[17];
	sos_init_hash(hash);
	snprintf(name, 32, "sos-init-%s", hash);
}

static int create_helper(struct sos_run *helper, const char *image, const char *volume,
			 const struct sos_engine_call *call, struct sos_error *error)
{
	static const char *const entrypoint[] = {SOS_INIT_PATH, NULL};
	const struct sos_engine_pair labels[] = {
		{SOS_LABEL_POOL, helper->pool->name},
		{SOS_LABEL_NONCE, helper->nonce_hex},
		{NULL, NULL},
	};
	const struct sos_engine_container_spec spec = {
		.name = helper->name,
		.image = image,
		.entrypoint = entrypoint,
		.labels = labels,
		.user = "0:0",
		.volume = volume,
		.volume_target = SOS_INIT_DIRECTORY,
		.volume_writable = true,
	};
	helper->container = SOS_RUN_UNSURE;
	int r = sos_engine_container_create(helper->pool->engine, &spec, call, &helper->id, error);
	if (!r)
		helper->container = SOS_RUN_THERE;
	else if (r == SOS_ERROR_IMAGE || r == SOS_ERROR_OWNED || r == SOS_ERROR_UNSUPPORTED || r == SOS_ERROR_NOT_FOUND)
		helper->container = SOS_RUN_NONE;
	else if (r == SOS_ERROR_ENGINE)
		helper->missing_since = 1; /* it was answered: asking once is enough */
	return r;
}

static int put(struct sos_run *helper, const void *program, size_t length, const struct sos_engine_call *call,
	       struct sos_error *error)
{
	SOS_AUTO_BUFFER struct sos_buffer tar = SOS_BUFFER_INIT;
	if (sos_tar_file(&tar, "sos-init", 0755, program, length) || sos_tar_end(&tar))
		return sos_error_nomem(error);
	return sos_engine_archive_put(helper->pool->engine, helper->id, SOS_INIT_DIRECTORY, tar.data, tar.length, call,
				      error);
}

/* Whole by its size: a crash may fall between making the volume and filling it. */
static int fill(struct sos_run *helper, const struct sos_engine_call *call, struct sos_error *error)
{
	size_t length;
	const void *program = sos_init_image(&length);
	int64_t size = -1;
	int r = sos_engine_archive_size(helper->pool->engine, helper->id, SOS_INIT_PATH, call, &size, error);
	if (r && r != SOS_ERROR_NOT_FOUND)
		return r;
	if (!r && size == (int64_t)length)
		return 0;
	return put(helper, program, length, call, error);
}

static int place(struct sos_pool *pool, const char *image, const struct sos_engine_call *call, bool *slot,
		 struct sos_error *error)
{
	if (atomic_load(&pool->placed))
		return 0;
	char volume[32];
	sos_place_volume(volume);
	const struct sos_engine_pair labels[] = {{SOS_LABEL_INIT, volume + strlen("sos-init-")}, {NULL, NULL}};
	int r = sos_engine_volume_create(pool->engine, volume, labels, call, error);
	if (r)
		return sos_error_prefix(error, r, "make the volume %s", volume);
	struct sos_run *helper = NULL;
	if ((r = sos_run_new(pool, NULL, "place", &helper, error)))
		return r;
	struct sos_error e = SOS_ERROR_INIT;
	/* Cancelled in the middle, the Engine may go on with it and keep the container that we remove meanwhile. */
	struct sos_engine_call firm = *call;
	firm.patience_ms = SOS_FIRM_MS;
	if (!(r = create_helper(helper, image, volume, &firm, &e)))
		r = fill(helper, &firm, &e);
	/* The helper stood in for the container that the caller is about to make. */
	if (!sos_run_discard(helper)) {
		*slot = false;
		if (!r)
			r = sos_error_set(&e, SOS_ERROR_ENGINE,
					  "the container that fills the volume %s is not removed yet", volume);
	}
	if (r) {
		sos_error_prefix(&e, r, "place sos-init");
		return sos_error_copy(error, &e);
	}
	atomic_store(&pool->placed, true);
	return 0;
}

int sos_place(struct sos_pool *pool, const char *image, const struct sos_engine_call *call, bool *slot,
	      struct sos_error *error)
{
	if (atomic_load(&pool->placed))
		return 0;
	int r = sos_gate_enter(&pool->gate, call->deadline, call->cancel_fd, error);
	if (r)
		return r;
	r = place(pool, image, call, slot, error);
	sos_gate_leave(&pool->gate);
	return r;
}
