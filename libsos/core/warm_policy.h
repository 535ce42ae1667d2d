/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many warm containers to keep of each kind, learned from how many were
 * asked for. Pure: the caller has the clock.
 *
 * Demand comes in bursts (a batch of episodes begins at once) and as a stream.
 * Both are served by as many as were asked for within the time that a refill of
 * that many takes, so what counts is the most that were asked for in one
 * SOS_WARM_BUCKET_NS. It is remembered for minutes and forgotten slowly:
 * batches are minutes apart, and an idle container costs little. */

#include <stdint.h>

#define SOS_WARM_BUCKET_NS INT64_C(2000000000)

struct sos_warm_demand {
	int64_t bucket; /* number of the one that is counted in */
	uint32_t count; /* in it */
	uint32_t level; /* thousandths of a container: the peak, fading */
};

/* One was asked for. */
void sos_warm_demand_note(struct sos_warm_demand *demand, int64_t now_ns);
/* How many to keep; 0: none was asked for in recent time. */
uint32_t sos_warm_demand_want(struct sos_warm_demand *demand, int64_t now_ns);

struct sos_warm_share {
	uint32_t least; /* asked for by configuration: not taken away */
	uint32_t want;  /* learned */
	uint32_t gets;  /* what comes out */
};

/* Give each what it wants, of `room` containers in all; where that is too few, those that want most go short. */
void sos_warm_divide(struct sos_warm_share *shares, unsigned count, uint32_t room);

/* How many warm containers the machine has room for, of which `now` are there: half of the slots that no sandbox holds,
 * and what memory allows. `available_bytes` -1: not known. */
uint32_t sos_warm_room(uint32_t capacity, uint32_t held, uint32_t now, int64_t available_bytes, int64_t total_bytes);
