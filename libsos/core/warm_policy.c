/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/warm_policy.h"

#include <stddef.h>

/* The level falls to a third in five minutes without demand. */
#define FADE_BUCKETS 150
#define BUCKETS_MOST 2000 /* after so many nothing is left of any level */

/* An idle one was measured at 4 MB; what its next command takes is not ours to know. */
#define CONTAINER_BYTES (INT64_C(16) << 20)
/* Left alone for everybody else. */
#define RESERVE_LEAST (INT64_C(512) << 20)
#define RESERVE_PART 10

static void close_bucket(struct sos_warm_demand *demand)
{
	uint32_t count = demand->count * 1000;
	if (count >= demand->level)
		demand->level = count;
	else
		demand->level -= (demand->level - count + FADE_BUCKETS - 1) / FADE_BUCKETS;
	demand->count = 0;
}

static void advance(struct sos_warm_demand *demand, int64_t now_ns)
{
	int64_t bucket = now_ns / SOS_WARM_BUCKET_NS, passed = bucket - demand->bucket;
	if (passed > BUCKETS_MOST) {
		demand->level = demand->count = 0;
		passed = 0;
	}
	for (; passed > 0; passed--)
		close_bucket(demand);
	if (bucket > demand->bucket)
		demand->bucket = bucket;
}

void sos_warm_demand_note(struct sos_warm_demand *demand, int64_t now_ns)
{
	advance(demand, now_ns);
	if (demand->count < UINT32_MAX / 1000)
		demand->count++;
}

uint32_t sos_warm_demand_want(struct sos_warm_demand *demand, int64_t now_ns)
{
	advance(demand, now_ns);
	uint32_t count = demand->count * 1000;
	return ((count > demand->level ? count : demand->level) + 500) / 1000;
}

static uint32_t extra(const struct sos_warm_share *share)
{
	return share->gets - share->least;
}

void sos_warm_divide(struct sos_warm_share *shares, unsigned count, uint32_t room)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < count; i++) {
		shares[i].gets = shares[i].want > shares[i].least ? shares[i].want : shares[i].least;
		total += shares[i].gets;
	}
	while (total > room) {
		struct sos_warm_share *most = NULL;
		for (unsigned i = 0; i < count; i++)
			if (extra(&shares[i]) && (!most || extra(&shares[i]) > extra(most)))
				most = &shares[i];
		if (!most)
			return;
		most->gets--;
		total--;
	}
}

uint32_t sos_warm_room(uint32_t capacity, uint32_t held, uint32_t now, int64_t available_bytes, int64_t total_bytes)
{
	uint32_t room = held < capacity ? (capacity - held + 1) / 2 : 0;
	if (available_bytes < 0)
		return room;
	int64_t reserve = total_bytes / RESERVE_PART > RESERVE_LEAST ? total_bytes / RESERVE_PART : RESERVE_LEAST;
	/* Below the reserve those that are there go too. */
	int64_t fits = (int64_t)now + (available_bytes - reserve) / CONTAINER_BYTES;
	if (fits < 0)
		fits = 0;
	return fits < room ? (uint32_t)fits : room;
}
