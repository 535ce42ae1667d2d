/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the engine layer share: a made-up Engine and our side of
 * it, and answers to put into its script. */

#include "engine/engine.h"
#include "fakeengine/fakeengine.h"
#include "unit.h"
#include "util/clock.h"

static struct fake_engine *fake;
static struct sos_engine *engine;
static struct sos_engine_call call;
static struct sos_error error;

static inline void begin(void)
{
	error = (struct sos_error)SOS_ERROR_INIT;
	fake = fake_engine_new();
	ck_assert_int_eq(sos_engine_new(fake_engine_address(fake), &engine, &error), 0);
	call = (struct sos_engine_call){ sos_clock_deadline(20000), -1 };
}

static inline void end(void)
{
	ck_assert(!fake_engine_mismatch(fake));
	sos_engine_free(engine);
	fake_engine_free(fake);
}

/* The code and exactly this line. */
static inline void failed(int r, int code, const char *message)
{
	if (r != code || error.code != code || strcmp(error.message, message) != 0)
		ck_abort_msg("%d (%d): %s\nwanted %d: %s", r, error.code, error.message, code, message);
}

/* The n-th request since the script. */
static inline const char *request(size_t n)
{
	const char *text;
	ck_assert_uint_gt(fake_engine_requests(fake, &text), n);
	while (n--)
		text += strlen(text) + 1;
	return text;
}

#define EMPTY(status) FAKE_BYTES("HTTP/1.1 " status "\r\n\r\n")
#define WHOLE(status, body) FAKE_BYTES("HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body), .close = true
#define SCRIPT(e, ...)                                                                                                 \
	do {                                                                                                           \
		static const struct fake_reply script_[] = { __VA_ARGS__ };                                            \
		fake_engine_script(e, script_, sizeof(script_) / sizeof(*script_));                                    \
	} while (0)
