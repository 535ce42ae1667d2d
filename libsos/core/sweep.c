/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What processes left that were killed: socket directories, and the networks of
 * pools whose name nobody will ever use again, so that no owner comes to remove
 * them. Their containers end by their leases; until then all is left alone. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/labels.h"
#include "core/owner.h"
#include "core/pool.h"
#include "util/clock.h"
#include "util/guard.h"

#define SWEEP_MS 10000

void sos_sweep_directory(const char *path)
{
	static const char *const files[] = {"s", "nonce"};
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		SOS_AUTO_CLOSE int sub =
			openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0)
			continue;
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			unlinkat(sub, files[i], 0);
		unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

/* 0: there is none. */
static int remove_network_of(struct sos_pool *pool, const char *name, const struct sos_engine_call *call)
{
	char label[96];
	snprintf(label, sizeof(label), SOS_LABEL_POOL "=%s", name);
	const char *const labels[] = {label, NULL};
	struct sos_engine_container *containers = NULL;
	size_t count = 0, networks = 0;
	char **ids = NULL;
	int r = sos_engine_container_list(pool->engine, labels, call, &containers, &count, NULL);
	if (r)
		return r;
	sos_engine_container_list_free(containers, count);
	if (count || (r = sos_engine_network_list(pool->engine, labels, call, &ids, &networks, NULL)))
		return -1;
	for (size_t i = 0; i < networks; i++) {
		if (!r)
			r = sos_engine_network_remove(pool->engine, ids[i], call, NULL);
		free(ids[i]);
	}
	free(ids);
	return r;
}

static void sweep(struct sos_job *job)
{
	struct sos_pool *pool = sos_list_entry(job, struct sos_pool, sweep);
	struct sos_engine_call call = {sos_clock_deadline(SWEEP_MS), pool->abort_fd};
	DIR *dir = opendir(pool->runtime_dir);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) && sos_clock_ns() < call.deadline;) {
		char name[65];
		struct sos_owner *stale = sos_owner_stale(pool->runtime_dir, entry->d_name, pool->facts.id, name);
		if (!stale)
			continue;
		if (remove_network_of(pool, name, &call)) {
			sos_owner_leave(stale);
			continue;
		}
		SOS_AUTO_FREE char *directory = NULL;
		int length = (int)strlen(entry->d_name) - 5;
		if (asprintf(&directory, "%s/%.*s", pool->runtime_dir, length, entry->d_name) > 0) {
			sos_sweep_directory(directory);
			rmdir(directory);
		}
		sos_owner_free(stale);
	}
	closedir(dir);
}

static void drop(struct sos_job *job)
{
	(void)job;
}

void sos_sweep(struct sos_pool *pool)
{
	if (!pool->runtime_dir)
		return;
	pool->sweep.run = sweep;
	pool->sweep.drop = drop;
	sos_workers_submit(pool->workers, &pool->sweep, 0);
}
