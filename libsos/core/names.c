/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sos/sos.h>

const char *sos_version(void)
{
	return SOS_VERSION;
}

const char *sos_code_name(int code)
{
	static const char *const names[] = {
		"ok",    "invalid",  "not-found", "state", "memory", "system", "unreachable", "engine", "image",
		"setup", "deadline", "cancelled", "full",  "owned",  "ended",  "lost",        "limit",  "unsupported",
	};
	if (code > 0 || code <= -(int)(sizeof(names) / sizeof(names[0])))
		return "unknown";
	return names[-code];
}

const char *sos_state_name(int state)
{
	static const char *const names[] = {
		"unknown", "created",      "queued",   "pulling", "starting", "started",
		"exited",  "session-lost", "stopping", "stopped", "lost",
	};
	if (state < 0 || state >= (int)(sizeof(names) / sizeof(names[0])))
		return "unknown";
	return names[state];
}
