/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* A pseudo-terminal of 24x80: the master non-blocking, the slave owned by the
 * user. 0 or a negative errno, then nothing is open. */
int sos_terminal_open(uid_t uid, int *master, int *slave);
/* The foreground process group, or -1. */
pid_t sos_terminal_foreground(int master);
