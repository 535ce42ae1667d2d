/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between fork and exec: from PID 1's copy to the tenant's process. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "wire/frame.h"

struct sos_launch {
	const char *path; /* "": argv[0] looked up in PATH */
	const char *const *argv;
	char **environment;
	uint32_t kind; /* enum sos_frame_kind */
	int terminal;  /* the slave that becomes the controlling terminal, or -1 */
	int report;    /* close-on-exec; a struct sos_spawn_failure goes there */
	int source[SOS_SPAWN_FDS_MAX], target[SOS_SPAWN_FDS_MAX];
	unsigned fd_count;
	struct rlimit files;
};

/* The pid, or -1 and errno. */
pid_t sos_launch(const struct sos_launch *launch);
