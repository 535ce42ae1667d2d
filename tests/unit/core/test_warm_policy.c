/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many are kept, on demand as it was recorded: batches of eight episodes
 * of one image, with pauses in which a trainer works, beside a stream of single
 * ones of another. */

#include "core/warm_policy.h"

#include <stdio.h>

#include "../unit.h"
#include "demand.h"

#define MS INT64_C(1000000)
#define START (1000000 * MS) /* a clock that does not begin at 0 */
#define KINDS 2
#define REFILL_MS 400  /* one, of four at a time: ten a second */
#define AT_A_TIME 4
#define LIVES_MS 3000

struct world {
	struct sos_warm_demand demand[KINDS];
	uint32_t least[KINDS], ready[KINDS], target[KINDS];
	int64_t coming[KINDS][64]; /* when each that is being made is there; 0: none */
	int64_t held[256];         /* until when each sandbox lives */
	uint32_t capacity;
	int64_t available;
	uint32_t hits[KINDS], misses[KINDS], most;
	double stock_ms; /* the sum over time */
};

static uint32_t coming(const struct world *w, int kind)
{
	uint32_t count = 0;
	for (int i = 0; i < 64; i++)
		count += w->coming[kind][i] != 0;
	return count;
}

static void live(struct world *w, int64_t now)
{
	struct sos_warm_share shares[KINDS];
	uint32_t held = 0, ours = 0, busy = 0;
	for (int i = 0; i < 256; i++)
		held += w->held[i] > now;
	for (int k = 0; k < KINDS; k++) {
		for (int i = 0; i < 64; i++)
			if (w->coming[k][i] && w->coming[k][i] <= now) {
				w->coming[k][i] = 0;
				w->ready[k]++;
			}
		ours += w->ready[k] + coming(w, k);
		busy += coming(w, k);
		shares[k] = (struct sos_warm_share){w->least[k], sos_warm_demand_want(&w->demand[k], now), 0};
	}
	uint32_t room = sos_warm_room(w->capacity, held, ours, w->available, INT64_C(24) << 30);
	sos_warm_divide(shares, KINDS, room);
	uint32_t total = 0;
	for (int k = 0; k < KINDS; k++) {
		w->target[k] = shares[k].gets;
		if (w->ready[k] > w->target[k])
			w->ready[k] = w->target[k];
		for (int i = 0; i < 64 && busy < AT_A_TIME && w->ready[k] + coming(w, k) < w->target[k]; i++)
			if (!w->coming[k][i]) {
				w->coming[k][i] = now + REFILL_MS * MS;
				busy++;
			}
		total += w->target[k];
		w->stock_ms += w->ready[k] * 10.0;
	}
	ck_assert_uint_le(total, room > w->least[0] + w->least[1] ? room : w->least[0] + w->least[1]);
	if (total > w->most)
		w->most = total;
}

static void ask(struct world *w, int kind, int64_t now)
{
	sos_warm_demand_note(&w->demand[kind], now);
	if (w->ready[kind]) {
		w->ready[kind]--;
		w->hits[kind]++;
	} else {
		w->misses[kind]++;
	}
	for (int i = 0; i < 256; i++)
		if (w->held[i] <= now) {
			w->held[i] = now + LIVES_MS * MS;
			return;
		}
}

/* In steps of 10 ms, `more_ms` beyond the trace's end. Gives the end. */
static int64_t replay(struct world *w, int64_t more_ms)
{
	size_t next = 0, count = sizeof(recorded) / sizeof(recorded[0]);
	int64_t ms = 0, end = recorded[count - 1].ms + more_ms;
	for (; ms <= end; ms += 10) {
		for (; next < count && recorded[next].ms <= ms; next++)
			ask(w, recorded[next].kind, START + ms * MS);
		live(w, START + ms * MS);
	}
	return START + ms * MS;
}

static double rate(const struct world *w, int kind)
{
	return (double)w->hits[kind] / (w->hits[kind] + w->misses[kind]);
}

START_TEST(recorded_demand)
{
	struct world w = {.capacity = 40, .available = -1};
	replay(&w, 0);
	/* The first batch finds nothing: nobody knows of it. All others do. */
	ck_assert_uint_le(w.misses[0], 8 + 2);
	ck_assert_msg(rate(&w, 1) > 0.85, "%f", rate(&w, 1));
	ck_assert_msg(rate(&w, 0) > 0.8, "%f", rate(&w, 0));
	/* And not by keeping many more than a batch and a few. */
	double average = w.stock_ms / recorded[sizeof(recorded) / sizeof(recorded[0]) - 1].ms;
	ck_assert_msg(average < 14, "%f", average);
	ck_assert_uint_le(w.most, 20);
}
END_TEST

START_TEST(idle_ones_go)
{
	struct world w = {.capacity = 40, .available = -1, .least = {0, 1}};
	int64_t end = replay(&w, 5000);
	uint32_t before = w.ready[0] + w.ready[1];
	ck_assert_uint_ge(before, 6);
	for (int64_t ms = 0; ms < 5 * 60 * 1000; ms += 10)
		live(&w, end + ms * MS);
	ck_assert_uint_lt(w.ready[0] + w.ready[1], before);
	ck_assert_uint_gt(w.ready[0], 0); /* the next batch may come yet */
	for (int64_t ms = 5 * 60 * 1000; ms < 40 * 60 * 1000; ms += 10)
		live(&w, end + ms * MS);
	ck_assert_uint_eq(w.ready[0], 0);
	/* What was asked for by configuration stays. */
	ck_assert_uint_eq(w.ready[1], 1);
}
END_TEST

/* Few slots, little memory: the ceilings hold, which live() checks, and what there is is used. */
START_TEST(ceilings)
{
	struct world few = {.capacity = 10, .available = -1}, poor = {.capacity = 40, .available = INT64_C(1) << 30};
	replay(&few, 0);
	ck_assert_uint_le(few.most, 5);
	ck_assert_uint_gt(few.hits[0] + few.hits[1], 0);
	replay(&poor, 0);
	ck_assert_uint_eq(poor.most, 0);
	ck_assert_uint_eq(sos_warm_room(10, 0, 0, -1, -1), 5);
	ck_assert_uint_eq(sos_warm_room(10, 9, 0, -1, -1), 1);
	ck_assert_uint_eq(sos_warm_room(10, 10, 0, -1, -1), 0);
	ck_assert_uint_eq(sos_warm_room(10, 12, 0, -1, -1), 0);
	/* 512 MiB are left alone, a tenth where that is more; 16 MiB are reckoned for each. */
	ck_assert_uint_eq(sos_warm_room(100, 0, 0, INT64_C(544) << 20, INT64_C(4) << 30), 2);
	ck_assert_uint_eq(sos_warm_room(100, 0, 3, INT64_C(544) << 20, INT64_C(4) << 30), 5);
	ck_assert_uint_eq(sos_warm_room(100, 0, 3, INT64_C(480) << 20, INT64_C(4) << 30), 1);
	ck_assert_uint_eq(sos_warm_room(100, 0, 3, INT64_C(100) << 20, INT64_C(4) << 30), 0);
	ck_assert_uint_eq(sos_warm_room(100, 0, 0, INT64_C(2) << 30, INT64_C(30) << 30), 0);
}
END_TEST

START_TEST(divides)
{
	struct sos_warm_share shares[3] = {{2, 1, 0}, {0, 8, 0}, {1, 4, 0}};
	sos_warm_divide(shares, 3, 100);
	ck_assert_uint_eq(shares[0].gets, 2);
	ck_assert_uint_eq(shares[1].gets, 8);
	ck_assert_uint_eq(shares[2].gets, 4);
	sos_warm_divide(shares, 3, 8);
	/* Those that want most go short, until all want the same. */
	ck_assert_uint_eq(shares[0].gets, 2);
	ck_assert_uint_eq(shares[1].gets, 2);
	ck_assert_uint_eq(shares[2].gets, 4);
	/* What was asked for by configuration is not divided. */
	sos_warm_divide(shares, 3, 0);
	ck_assert_uint_eq(shares[0].gets, 2);
	ck_assert_uint_eq(shares[1].gets, 0);
	ck_assert_uint_eq(shares[2].gets, 1);
}
END_TEST

START_TEST(odd_clocks)
{
	struct sos_warm_demand demand = {0};
	sos_warm_demand_note(&demand, START);
	ck_assert_uint_eq(sos_warm_demand_want(&demand, START), 1);
	/* Back a little: two threads read their clocks and come in the other order. */
	sos_warm_demand_note(&demand, START - 5000 * MS);
	ck_assert_uint_eq(sos_warm_demand_want(&demand, START), 2);
	ck_assert_uint_eq(sos_warm_demand_want(&demand, START + INT64_C(1000000) * 1000 * MS), 0);
	sos_warm_demand_note(&demand, START + INT64_C(1000000) * 1000 * MS);
	ck_assert_uint_eq(sos_warm_demand_want(&demand, START + INT64_C(1000000) * 1000 * MS), 1);
}
END_TEST

UNIT_MAIN("warm policy", recorded_demand, idle_ones_go, ceilings, divides, odd_clocks)
