/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a slot to a session that has run its setup: the way that a start and a
 * container of the warm stock have in common. */

#include <stdbool.h>

#include "core/launch.h"

struct sos_bring {
	struct sos_launch launch; /* the caller sets pool, sandbox, starter, call, admission */
	bool slot;                /* a slot is ours; goes where a container does not go */
	/* NULL: nobody listens. On this thread. */
	void (*tell)(struct sos_bring *bring, enum sos_phase phase, const char *text, int64_t current, int64_t total);
};

/* The sandbox is STARTING. Image, volume, network, container, session. */
int sos_bring_up(struct sos_bring *bring, struct sos_error *error);
/* Run commands of the setup in its session; NULL-terminated, may be none. */
int sos_bring_setup(struct sos_bring *bring, char **commands, struct sos_error *error);
/* After the setup: see sos_session_settle. */
int sos_bring_settle(struct sos_bring *bring, struct sos_error *error);
/* Remove what an attempt made. False: it is not gone, and the slot went with it. */
bool sos_bring_take_back(struct sos_bring *bring);
void sos_bring_clear(struct sos_bring *bring);

/* CANCELLED: a stop came before. */
int sos_bring_move(struct sos_bring *bring, enum sos_state to, struct sos_error *error);
