/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who runs in the container, by /proc. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SOS_PROCS_MAX 8192u

struct sos_proc {
	pid_t pid, parent, group, session;
	char state;
	uint8_t mark;   /* the scanner's user's; 0 at first */
	uint64_t start; /* ticks since boot */
};

int sos_proc_init(void);
/* /proc, opened before any tenant ran. */
int sos_proc_dir(void);
/* One process. False: it is gone. */
bool sos_proc_read(pid_t pid, struct sos_proc *proc);
/* Everybody, by ascending pid, until the next scan. More than SOS_PROCS_MAX: the rest is seen when these are gone. */
struct sos_proc *sos_proc_scan(unsigned *count);
/* In the last scan; NULL. */
struct sos_proc *sos_proc_find(pid_t pid);
