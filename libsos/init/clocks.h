/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The three clocks that end the container: lifetime, idle, lease. All
 * monotonic; the first to run out wins. 0 ms means off. */

#include <stdbool.h>
#include <stdint.h>

void sos_clocks_init(uint64_t lifetime_ms, uint64_t lease_ms); /* nobody is connected yet: the lease runs */
void sos_clocks_lifetime(uint64_t ms_left);
void sos_clocks_idle_timeout(uint64_t ms);
void sos_clocks_lease(uint64_t ms);
void sos_clocks_busy(bool busy);
/* Connected: the lease stands still. Not, or a sign of life where a break can't be seen: it starts again. */
void sos_clocks_connected(bool connected);
/* The connection broke without a word from the library: as if it had not been. */
void sos_clocks_refused(void);
/* When the next one runs out. */
int64_t sos_clocks_due(void);
/* The name of the one that has run out, as CLOSING carries it; NULL: none. */
const char *sos_clocks_expired(void);
