/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A lock whose waiters have a deadline and can be cancelled by a descriptor:
 * for steps that one thread does for all and that talk to the Engine. */

#include <stdint.h>

#include <sos/sos.h>

struct sos_gate {
	int token; /* an eventfd that holds 1 while the gate is open */
};

int sos_gate_init(struct sos_gate *gate, struct sos_error *error);
void sos_gate_clear(struct sos_gate *gate); /* not initialised (token -1) is accepted */
/* DEADLINE, CANCELLED, SYSTEM. `cancel_fd` may be -1. */
int sos_gate_enter(struct sos_gate *gate, int64_t deadline, int cancel_fd, struct sos_error *error);
void sos_gate_leave(struct sos_gate *gate);
