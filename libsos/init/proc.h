/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who runs in the container, by /proc, and killing what belongs together until
 * none of it is left. Each takes at most about a second; a process is killed
 * by pidfd after its start time was checked again, so that a reused pid is
 * never hit. PID 1 is never killed. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int sos_proc_init(void);
/* Opened before any tenant ran. */
int sos_proc_dir(void);

/* What the command of a session's shell started: see SOS_FRAME_REAP in wire/frame.h. How many were killed. */
uint32_t sos_proc_kill_command(pid_t shell, uint64_t elapsed_ns, pid_t last);
/* The process, unless it has ended (its pid may be another's by now), its session, all descendants. */
uint32_t sos_proc_kill_tree(pid_t root, bool lives);
/* Everybody. False: some would not die in time. */
bool sos_proc_kill_all(void);
