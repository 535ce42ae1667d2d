/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

struct box_options;

/* The program as PID 1 of new namespaces, over `dir`/root, with `dir`/ctl read-only at /.sos-ctl. The pid outside, or
 * -1 and errno. */
pid_t container_start(const char *dir, const struct box_options *options, const char *nonce, int stdin_fd,
		      int stdout_fd);
