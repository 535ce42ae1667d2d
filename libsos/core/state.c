/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "core/pool.h"
#include "core/sandbox.h"

#define TO(state) (1u << SOS_STATE_##state)

static const unsigned allowed[] = {
	[SOS_STATE_CREATED] = TO(QUEUED) | TO(STOPPING),
	[SOS_STATE_QUEUED] = TO(STARTING) | TO(CREATED) | TO(STOPPING),
	[SOS_STATE_PULLING] = TO(STARTING) | TO(CREATED) | TO(STOPPING),
	[SOS_STATE_STARTING] = TO(QUEUED) | TO(PULLING) | TO(STARTED) | TO(CREATED) | TO(STOPPING),
	[SOS_STATE_STARTED] = TO(EXITED) | TO(SESSION_LOST) | TO(STOPPING) | TO(LOST),
	[SOS_STATE_EXITED] = TO(STOPPING) | TO(LOST),
	[SOS_STATE_SESSION_LOST] = TO(STOPPING) | TO(LOST),
	[SOS_STATE_STOPPING] = TO(STOPPED),
	[SOS_STATE_STOPPED] = 0,
	[SOS_STATE_LOST] = TO(STOPPING),
};

bool sos_sandbox_move(struct sos_sandbox *sandbox, enum sos_state to, const char *reason)
{
	if (!(allowed[sandbox->state] & 1u << to))
		return false;
	if (!sandbox->vessel) {
		atomic_fetch_sub(&sandbox->pool->states[sandbox->state], 1);
		atomic_fetch_add(&sandbox->pool->states[to], 1);
	}
	sandbox->state = to;
	if (reason && reason != sandbox->reason)
		snprintf(sandbox->reason, sizeof(sandbox->reason), "%s", reason);
	sos_condition_notify(&sandbox->changed);
	return true;
}

bool sos_sandbox_is_up(const struct sos_sandbox *sandbox)
{
	return sandbox->state == SOS_STATE_STARTED || sandbox->state == SOS_STATE_EXITED ||
	       sandbox->state == SOS_STATE_SESSION_LOST;
}

bool sos_sandbox_settle(struct sos_sandbox *sandbox)
{
	sos_condition_notify(&sandbox->changed);
	return sandbox->state == SOS_STATE_STOPPING && !sandbox->starter && !sandbox->runs &&
	       sos_sandbox_move(sandbox, SOS_STATE_STOPPED, NULL);
}

bool sos_sandbox_session_over(struct sos_sandbox *sandbox, enum sos_session_end end)
{
	if (end == SOS_SESSION_ALIVE)
		return false;
	if (sandbox->judged)
		return sos_sandbox_move(sandbox, SOS_STATE_SESSION_LOST, "a judge command killed its shell");
	if (end == SOS_SESSION_EXITED)
		return sos_sandbox_move(sandbox, SOS_STATE_EXITED, "its shell ended by itself");
	return sos_sandbox_move(sandbox, SOS_STATE_SESSION_LOST, "it was out of step and its shell was ended");
}
