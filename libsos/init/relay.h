/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Streams of children as DATA frames with credits: the attach stream's way.
 *
 * Order: a child's highest output (a session's status pipe) never overtakes
 * the others. What the lower pipes held at the moment after it became
 * readable goes out before it. EXITED goes after all that the pipes held when
 * the child was reaped. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "init/child.h"

/* `ready` for streams of the kind. */
void sos_relay_prepare(struct sos_stream *stream);
/* Send what may be sent, and wait for what must be waited for. */
void sos_relay_pump(struct sos_child *child);
void sos_relay_pump_all(void);
/* The child was reaped: what its pipes hold now is due before EXITED. */
void sos_relay_ended(struct sos_child *child);
bool sos_relay_settled(const struct sos_child *child); /* nothing is due any more */

/* Frames from the library; false: a violation. */
bool sos_relay_data(const struct sos_frame *frame);
bool sos_relay_credit(const struct sos_frame *frame);
