/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libcurl before 8.12 makes the socket pair of a multi handle without
 * close-on-exec and tells nobody its numbers. This finds the pair by what the
 * handle can do to it, and sets the flag. */

/* `poke` makes one end readable, `drain` makes it empty again. Finding nothing is fine. */
void sos_cloexec_pair(void (*poke)(void *data), void (*drain)(void *data), void *data);
