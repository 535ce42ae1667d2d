/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/queue.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/thread.h"
#include "../unit.h"

struct waiter {
	struct sos_queue *queue;
	struct sos_ticket ticket;
	pthread_t thread;
	int result;
	int64_t deadline;
	atomic_int *turn;
	int order;
};

static void *wait_for_slot(void *data)
{
	struct waiter *w = data;
	int r;
	while ((r = sos_queue_wait(w->queue, &w->ticket, w->deadline, NULL)) == SOS_QUEUE_WAITING)
		;
	w->result = r;
	if (!r) {
		w->order = atomic_fetch_add(w->turn, 1);
		sos_queue_release(w->queue);
	}
	return NULL;
}

START_TEST(grants_and_bounds)
{
	struct sos_queue queue;
	struct sos_ticket tickets[4];
	struct sos_error error = SOS_ERROR_INIT;
	sos_queue_init(&queue, 2, 1);
	for (int i = 0; i < 4; i++)
		sos_ticket_init(&tickets[i], false);
	ck_assert_int_eq(sos_queue_enter(&queue, &tickets[0], true, &error), 0);
	ck_assert_int_eq(sos_queue_enter(&queue, &tickets[1], false, &error), 0);
	ck_assert_int_eq(sos_queue_enter(&queue, &tickets[2], false, &error), SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_queue_enter(&queue, &tickets[2], true, &error), SOS_QUEUE_WAITING);
	ck_assert_uint_eq(sos_queue_position(&queue, &tickets[2]), 1);
	ck_assert_int_eq(sos_queue_enter(&queue, &tickets[3], true, &error), SOS_ERROR_FULL);
	sos_queue_release(&queue);
	ck_assert_uint_eq(sos_queue_position(&queue, &tickets[2]), 0);
	ck_assert_int_eq(sos_queue_wait(&queue, &tickets[2], SOS_CLOCK_NEVER, &error), 0);
	unsigned used, queued;
	sos_queue_count(&queue, &used, &queued);
	ck_assert_uint_eq(used, 2);
	ck_assert_uint_eq(queued, 0);
	for (int i = 0; i < 4; i++)
		sos_ticket_clear(&tickets[i]);
	sos_queue_clear(&queue);
}
END_TEST

START_TEST(first_come_first_served)
{
	enum { N = 50 };
	struct sos_queue queue;
	struct sos_ticket first;
	struct waiter waiters[N];
	atomic_int turn = 0;
	sos_queue_init(&queue, 1, N);
	sos_ticket_init(&first, false);
	ck_assert_int_eq(sos_queue_enter(&queue, &first, false, NULL), 0);
	for (int i = 0; i < N; i++) {
		waiters[i] = (struct waiter){.queue = &queue, .deadline = SOS_CLOCK_NEVER, .turn = &turn};
		sos_ticket_init(&waiters[i].ticket, i % 2);
		ck_assert_int_eq(sos_queue_enter(&queue, &waiters[i].ticket, true, NULL), SOS_QUEUE_WAITING);
		ck_assert_uint_eq(sos_queue_position(&queue, &waiters[i].ticket), i + 1);
	}
	/* Nobody overtakes: a slot is given back while others wait, and a newcomer asks. */
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(sos_thread_start(&waiters[i].thread, wait_for_slot, &waiters[i]), 0);
	sos_queue_release(&queue);
	for (int i = 0; i < N; i++)
		pthread_join(waiters[i].thread, NULL);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(waiters[i].result, 0);
		ck_assert_int_eq(waiters[i].order, i);
		sos_ticket_clear(&waiters[i].ticket);
	}
	sos_ticket_clear(&first);
	sos_queue_clear(&queue);
}
END_TEST

START_TEST(leaving)
{
	struct sos_queue queue;
	struct sos_ticket first, late, cancelled, last;
	struct sos_error error = SOS_ERROR_INIT;
	sos_queue_init(&queue, 1, 10);
	struct sos_ticket *all[] = {&first, &late, &cancelled, &last};
	for (int i = 0; i < 4; i++) {
		sos_ticket_init(all[i], all[i] == &last);
		ck_assert_int_eq(sos_queue_enter(&queue, all[i], true, &error), i ? SOS_QUEUE_WAITING : 0);
	}
	ck_assert_int_eq(sos_queue_wait(&queue, &late, sos_clock_deadline(20), &error), SOS_ERROR_DEADLINE);
	ck_assert_uint_eq(sos_queue_position(&queue, &last), 2);
	ck_assert_int_eq(sos_queue_wait(&queue, &last, SOS_CLOCK_NEVER, &error), SOS_QUEUE_WAITING);
	sos_queue_cancel(&queue, &cancelled, SOS_ERROR_ENDED);
	ck_assert_int_eq(sos_queue_wait(&queue, &cancelled, SOS_CLOCK_NEVER, &error), SOS_ERROR_ENDED);
	ck_assert_int_eq(sos_queue_wait(&queue, &last, SOS_CLOCK_NEVER, &error), SOS_QUEUE_WAITING);
	ck_assert_uint_eq(sos_queue_position(&queue, &last), 1);
	sos_queue_release(&queue);
	/* Too late: it has its slot. */
	sos_queue_cancel(&queue, &last, SOS_ERROR_CANCELLED);
	ck_assert_int_eq(sos_queue_wait(&queue, &last, SOS_CLOCK_NEVER, &error), 0);
	for (int i = 0; i < 4; i++)
		sos_ticket_clear(all[i]);
	sos_queue_clear(&queue);
}
END_TEST

START_TEST(over_capacity)
{
	struct sos_queue queue;
	struct sos_ticket ticket;
	sos_queue_init(&queue, 1, 10);
	sos_ticket_init(&ticket, false);
	sos_queue_take(&queue);
	sos_queue_take(&queue);
	ck_assert_int_eq(sos_queue_enter(&queue, &ticket, true, NULL), SOS_QUEUE_WAITING);
	sos_queue_release(&queue);
	ck_assert_uint_eq(sos_queue_position(&queue, &ticket), 1);
	sos_queue_release(&queue);
	ck_assert_int_eq(sos_queue_wait(&queue, &ticket, 0, NULL), 0);
	sos_ticket_clear(&ticket);
	sos_queue_clear(&queue);
}
END_TEST

static bool takes(void *wants, void *data)
{
	return wants == data;
}

/* A slot with something in it, for who waits behind those whose slots are on their way. */
START_TEST(offers)
{
	struct sos_queue queue;
	struct sos_ticket tickets[4];
	int one, other, gift;
	sos_queue_init(&queue, 1, 10);
	ck_assert(sos_queue_try(&queue));
	ck_assert(!sos_queue_try(&queue));
	ck_assert(!sos_queue_offer(&queue, 0, takes, &one, &gift));
	for (int i = 0; i < 4; i++) {
		sos_ticket_init(&tickets[i], false);
		tickets[i].wants = i % 2 ? &one : &other;
		ck_assert_int_eq(sos_queue_enter(&queue, &tickets[i], true, NULL), SOS_QUEUE_WAITING);
	}
	/* Not to the second as long as the first has nothing. */
	ck_assert(!sos_queue_offer(&queue, 0, takes, &one, &gift));
	ck_assert(!sos_queue_offer(&queue, 4, takes, &one, &gift));
	ck_assert(sos_queue_wants(&queue, 1, takes, &one));
	ck_assert(!sos_queue_wants(&queue, 2, takes, &one));
	ck_assert(!sos_queue_wants(&queue, 4, takes, &one));
	ck_assert(sos_queue_offer(&queue, 1, takes, &one, &gift));
	ck_assert_int_eq(sos_queue_wait(&queue, &tickets[1], 0, NULL), 0);
	ck_assert_ptr_eq(tickets[1].gift, &gift);
	ck_assert_uint_eq(sos_queue_position(&queue, &tickets[2]), 2);
	sos_queue_release(&queue);
	ck_assert_int_eq(sos_queue_wait(&queue, &tickets[0], 0, NULL), 0);
	ck_assert_ptr_null(tickets[0].gift);
	sos_queue_release(&queue);
	sos_queue_release(&queue);
	/* The last one has it. */
	ck_assert(!sos_queue_try(&queue));
	ck_assert_int_eq(sos_queue_wait(&queue, &tickets[3], 0, NULL), 0);
	sos_queue_release(&queue);
	ck_assert(sos_queue_try(&queue));
	for (int i = 0; i < 4; i++)
		sos_ticket_clear(&tickets[i]);
	sos_queue_clear(&queue);
}
END_TEST

/* Many threads, random deadlines and cancellations: never more than the capacity, and no slot is lost. */
struct storm {
	struct sos_queue queue;
	atomic_int inside, most;
	atomic_uint granted;
};

static void *storm(void *data)
{
	struct storm *s = data;
	uint32_t random = (uint32_t)(uintptr_t)&random;
	for (int i = 0; i < 300; i++) {
		struct sos_ticket ticket;
		sos_ticket_init(&ticket, unit_random(&random) & 1);
		int r = sos_queue_enter(&s->queue, &ticket, unit_random(&random) % 8 != 0, NULL);
		if (r == SOS_QUEUE_WAITING && unit_random(&random) % 4 == 0)
			sos_queue_cancel(&s->queue, &ticket, SOS_ERROR_CANCELLED);
		int64_t deadline = sos_clock_ns() + unit_random(&random) % 2000000;
		while (r == SOS_QUEUE_WAITING)
			r = sos_queue_wait(&s->queue, &ticket, deadline, NULL);
		if (!r) {
			int inside = atomic_fetch_add(&s->inside, 1) + 1;
			int most = atomic_load(&s->most);
			while (inside > most && !atomic_compare_exchange_weak(&s->most, &most, inside))
				;
			atomic_fetch_add(&s->granted, 1);
			atomic_fetch_sub(&s->inside, 1);
			sos_queue_release(&s->queue);
		}
		sos_ticket_clear(&ticket);
	}
	return NULL;
}

START_TEST(storm_of_starts)
{
	struct storm s = {0};
	pthread_t threads[16];
	sos_queue_init(&s.queue, 3, 8);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(sos_thread_start(&threads[i], storm, &s), 0);
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	unsigned used, queued;
	sos_queue_count(&s.queue, &used, &queued);
	ck_assert_uint_eq(used, 0);
	ck_assert_uint_eq(queued, 0);
	ck_assert_int_le(s.most, 3);
	ck_assert_uint_gt(s.granted, 0);
	sos_queue_clear(&s.queue);
}
END_TEST

UNIT_MAIN("queue", grants_and_bounds, first_come_first_served, leaving, over_capacity, offers, storm_of_starts)
