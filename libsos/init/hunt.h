/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Killing what belongs together until none of it is left. Each call takes at
 * most about a second; a process is killed by pidfd after its start time was
 * checked again, so that a reused pid is never hit. PID 1 is never killed. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SOS_KIN_MAX 32u

/* Sessions that a child's descendants made for themselves, seen while the line of descent was still whole: a signal
 * may end the ones between. */
struct sos_kin {
	struct {
		pid_t session, top; /* top: the ancestor that is the child's own child */
		uint64_t top_start;
	} of[SOS_KIN_MAX];
	unsigned next; /* the oldest goes first */
};

/* Before a signal that may break the line. */
void sos_hunt_remember(pid_t root, struct sos_kin *kin);
/* What the command of a session's shell started: see SOS_FRAME_REAP in wire/frame.h. How many were killed. */
uint32_t sos_hunt_command(pid_t shell, uint64_t elapsed_ns, pid_t last, const struct sos_kin *kin);
/* The process, unless it has ended (its pid may be another's by now), its session, all descendants. */
uint32_t sos_hunt_tree(pid_t root, bool lives, const struct sos_kin *kin);
/* Everybody. False: some would not die in time. */
bool sos_hunt_all(void);
