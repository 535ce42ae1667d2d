/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The limits of a call: its deadline, and the descriptor that cancels it. */

#include "engine/address.h"
#include "engine/engine.h"

/* CANCELLED or DEADLINE, if it is that far with the call; else 0. */
int sos_call_check(const struct sos_engine_call *call, const struct sos_address *address, struct sos_error *error);
/* The same for a request under way: a cancel makes the call's patience its deadline (`*cancelled`, and nothing more is
 * read from cancel_fd), and its end then is CANCELLED, not DEADLINE. */
int sos_call_bear(struct sos_engine_call *call, bool *cancelled, const struct sos_address *address,
		  struct sos_error *error);
