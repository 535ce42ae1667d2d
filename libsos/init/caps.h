/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Capabilities. PID 1 keeps in its permitted set what its children are to get
 * (under no_new_privs an exec gains nothing that the process before it did not
 * have) and works with five of them. SETPCAP it keeps for itself alone: as
 * long as its permitted set is no subset of theirs, the kernel refuses them
 * setpriority, sched_setaffinity and ioprio_set on it. */

#include <stdbool.h>

void sos_caps_init(void);
bool sos_caps_has_net_admin(void);
/* Before the first child: NET_ADMIN and SYS_PTRACE go for good; what children must not have leaves the bounding set
 * (strict: everything). 0 or a negative errno; then nothing may be started. */
int sos_caps_lock(bool strict);
/* All that PID 1 still has, for a moment, and back. */
void sos_caps_raise(void);
void sos_caps_lower(void);
/* In a child, still root: all that helps to become somebody else. */
void sos_caps_child_raise(void);
/* In a child that stays root, last: exactly what it may have. 0 or a negative errno. */
int sos_caps_child_final(void);
