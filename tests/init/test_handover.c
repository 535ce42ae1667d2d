/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container that was set up becomes somebody's: its clocks, its record, what its children get.
 * usage: test_handover SOS-INIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init/box.h"
#include "lib/tap.h"
#include "util/clock.h"

static const char *init;

static void start(struct box *box, const struct box_setup *setup)
{
	struct sos_frame hello;
	char why[256] = "";
	box_start(box, &(struct box_options){.init = init});
	if (!box_accept(box, 5000, &hello))
		tap_bail("no hello");
	int e = box_setup(box, setup, NULL, why);
	if (e)
		tap_bail("setup: %d %s", e, why);
}

struct handover {
	uint64_t lifetime_ms, idle_ms;
	uint32_t flags;
	const char *record;
	const char *const *environment; /* NULL: an empty list */
};

static void hand_over(struct box *box, uint32_t id, const struct handover *h)
{
	static uint8_t data[SOS_FRAME_HEADER + SOS_FRAME_MAX];
	struct sos_frame_writer w;
	uint32_t count = 0;
	while (h->environment && h->environment[count])
		count++;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u64(&w, h->lifetime_ms);
	sos_frame_put_u64(&w, h->idle_ms);
	sos_frame_put_u32(&w, h->flags);
	sos_frame_put_string(&w, h->record);
	sos_frame_put_u32(&w, count);
	for (uint32_t i = 0; i < count; i++)
		sos_frame_put_string(&w, h->environment[i]);
	box_send(box, data, sos_frame_end(&w, SOS_FRAME_HANDOVER, 0, id), NULL, 0);
}

static void expect(struct box *box, const char *command, const char *want, const char *what)
{
	int status;
	char *output = box_shell(box, command, &status);
	tap_string(output, want, "%s", what);
	free(output);
}

static void test_environment(void)
{
	static const char *const before[] = {"STAYS=1", "GOES=2", NULL}, *const after[] = {"STAYS=3", "NEW=a b", NULL},
				 *const wrong[] = {"nothing", NULL};
	struct box box;
	struct sos_frame hello;
	start(&box, &(struct box_setup){.environment = before, .directory = "/tmp", .record = "waits"});
	expect(&box, "echo $STAYS $GOES $NEW; pwd", "1 2\n/tmp\n", "it is set up");
	hand_over(&box, 0, &(struct handover){.lifetime_ms = 60000, .record = "first"});
	expect(&box, "echo $STAYS $GOES $NEW; pwd", "1 2\n/tmp\n", "without an environment it stays, and nothing is answered");
	hand_over(&box, 901, &(struct handover){.lifetime_ms = 60000, .flags = SOS_HANDOVER_ENVIRONMENT, .record = "second",
						.environment = after});
	tap_equal(box_answer(&box, 901, NULL, NULL), 0, "with one it is answered");
	expect(&box, "echo $STAYS $GOES $NEW; pwd; echo ${PATH:+path} $HOME", "3 a b\n/tmp\npath /root\n",
	       "the new one replaces it; directory, user and defaults stay");
	char why[256];
	hand_over(&box, 902, &(struct handover){.lifetime_ms = 60000, .flags = SOS_HANDOVER_ENVIRONMENT, .record = "third",
						.environment = wrong});
	tap_equal(box_answer(&box, 902, NULL, why), E2BIG, "what is none is refused: %s", why);
	box_hang_up(&box);
	if (!box_accept(&box, 5000, &hello))
		tap_bail("no second hello");
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, &hello);
	for (int i = 0; i < 4; i++)
		sos_frame_read_u32(&r);
	sos_frame_read_string(&r);
	struct sos_frame_string record = sos_frame_read_bytes(&r);
	tap_bytes(record.data, record.length, "second", 6, "the record is that of the hand-over");
	box_stop(&box);
}

static void test_clocks(void)
{
	struct box box;
	struct sos_frame frame;
	start(&box, &(struct box_setup){.lifetime_ms = 900});
	hand_over(&box, 0, &(struct handover){.lifetime_ms = 60000, .idle_ms = 1500, .record = ""});
	int64_t begin = sos_clock_ns();
	tap_ok(box_expect(&box, SOS_FRAME_CLOSING, 0, &frame), "it closes");
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, &frame);
	struct sos_frame_string reason = sos_frame_read_string(&r);
	tap_bytes(reason.data, reason.length, "idle", 4, "not by the lifetime before, but for being idle");
	int64_t took = (sos_clock_ns() - begin) / 1000000;
	tap_ok(took >= 1300, "so long after the hand-over: %lld ms", (long long)took);
	box_stop(&box);
}

/* A broken frame ends the connection; one that breaks the rules too. */
static void test_violations(void)
{
	static const char *const environment[] = {"A=1", NULL};
	static const struct handover wrong[] = {
		{.lifetime_ms = 1000, .flags = SOS_HANDOVER_ENVIRONMENT, .record = "", .environment = environment},
		{.lifetime_ms = 1000, .flags = 2, .record = ""},
		{.lifetime_ms = 1000, .record = "", .environment = environment},
	};
	static const uint32_t ids[] = {0, 5, 5};
	static const char *const names[] = {"an environment without an id", "an unknown flag", "a list without the flag"};
	struct sos_frame frame, hello;
	for (unsigned i = 0; i < 3; i++) {
		struct box box;
		start(&box, &(struct box_setup){.lifetime_ms = 60000});
		hand_over(&box, ids[i], &wrong[i]);
		tap_ok(!box_receive(&box, 2000, &frame), "%s breaks the connection", names[i]);
		box_stop(&box);
	}
	struct box box;
	box_start(&box, &(struct box_options){.init = init});
	if (!box_accept(&box, 5000, &hello))
		tap_bail("no hello");
	hand_over(&box, 5, &(struct handover){.lifetime_ms = 1000, .record = ""});
	tap_ok(!box_receive(&box, 2000, &frame), "and so does a hand-over before SETUP");
	box_stop(&box);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		tap_bail("usage: test_handover SOS-INIT");
	init = argv[1];
	test_environment();
	test_clocks();
	test_violations();
	return tap_done();
}
