/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The limits of a call: its deadline, and the descriptor that cancels it. */

#include "engine/address.h"
#include "engine/engine.h"

/* CANCELLED or DEADLINE, if it is that far with the call; else 0. */
int sos_call_check(const struct sos_engine_call *call, const struct sos_address *address, struct sos_error *error);
/* If `call` was cancelled and has patience: that becomes its deadline, and true is given; from then on its end is
 * CANCELLED, not DEADLINE. */
bool sos_call_bear(struct sos_engine_call *call);
