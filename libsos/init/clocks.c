/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/clocks.h"

#include "util/clock.h"

static int64_t lifetime_at = SOS_CLOCK_NEVER, idle_at = SOS_CLOCK_NEVER, lease_at = SOS_CLOCK_NEVER;
static int64_t lease_before = SOS_CLOCK_NEVER; /* the last connection */
static int64_t idle_ms, lease_ms;
static bool is_busy, is_connected;

/* Whatever does not fit is as good as never. */
static int64_t clamp(uint64_t ms)
{
	return ms > INT64_MAX / 1000000 ? 0 : (int64_t)ms;
}

void sos_clocks_init(uint64_t lifetime, uint64_t lease)
{
	lifetime_at = sos_clock_deadline(clamp(lifetime));
	sos_clocks_lease(lease);
}

void sos_clocks_lifetime(uint64_t ms_left)
{
	lifetime_at = sos_clock_deadline(clamp(ms_left));
}

void sos_clocks_idle_timeout(uint64_t ms)
{
	idle_ms = clamp(ms);
	idle_at = is_busy ? SOS_CLOCK_NEVER : sos_clock_deadline(idle_ms);
}

void sos_clocks_lease(uint64_t ms)
{
	lease_ms = clamp(ms);
	sos_clocks_connected(is_connected);
}

void sos_clocks_busy(bool busy)
{
	is_busy = busy;
	idle_at = busy ? SOS_CLOCK_NEVER : sos_clock_deadline(idle_ms);
}

void sos_clocks_connected(bool connected)
{
	is_connected = connected;
	lease_before = lease_at;
	lease_at = connected ? SOS_CLOCK_NEVER : sos_clock_deadline(lease_ms);
}

void sos_clocks_refused(void)
{
	is_connected = false;
	lease_at = lease_before;
}

int64_t sos_clocks_due(void)
{
	int64_t due = lifetime_at < idle_at ? lifetime_at : idle_at;
	return due < lease_at ? due : lease_at;
}

const char *sos_clocks_expired(void)
{
	int64_t now = sos_clock_ns();
	if (now < sos_clocks_due())
		return NULL;
	return now >= lifetime_at ? "lifetime" : now >= idle_at ? "idle" : "lease";
}
