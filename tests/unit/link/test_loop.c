/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit.h"
#include "util/clock.h"

struct counter {
	struct sos_watch watch;
	struct sos_timer timer;
	struct sos_loop *loop;
	atomic_int count;
	atomic_int inside;
	int done; /* an eventfd */
};

static void tell(int fd)
{
	uint64_t one = 1;
	ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
}

static void await(int fd)
{
	uint64_t value;
	ck_assert_int_eq(read(fd, &value, sizeof(value)), sizeof(value));
}

static void watch_ready(struct sos_watch *watch, uint32_t events)
{
	struct counter *c = sos_list_entry(watch, struct counter, watch);
	ck_assert(events & EPOLLIN);
	ck_assert(sos_loop_is_self(c->loop));
	atomic_fetch_add(&c->inside, 1);
	await(watch->fd);
	atomic_fetch_add(&c->count, 1);
	atomic_fetch_sub(&c->inside, 1);
	tell(c->done);
}

static void timer_fired(struct sos_timer *timer)
{
	struct counter *c = sos_list_entry(timer, struct counter, timer);
	atomic_fetch_add(&c->count, 1);
	tell(c->done);
}

static void setup(struct counter *c, struct sos_loop *loop)
{
	c->loop = loop;
	atomic_init(&c->count, 0);
	atomic_init(&c->inside, 0);
	c->done = eventfd(0, EFD_SEMAPHORE);
	c->watch = (struct sos_watch){ .ready = watch_ready, .fd = eventfd(0, EFD_NONBLOCK) };
	sos_timer_init(&c->timer, timer_fired);
}

static void teardown(struct counter *c)
{
	close(c->done);
	close(c->watch.fd);
}

START_TEST(watches_and_timers)
{
	struct sos_loop *loop;
	struct counter c;
	ck_assert_int_eq(sos_loop_new(&loop, NULL), 0);
	ck_assert(!sos_loop_is_self(loop));
	setup(&c, loop);
	ck_assert_int_eq(sos_loop_add(loop, &c.watch, EPOLLIN), 0);
	for (int i = 1; i <= 3; i++) {
		tell(c.watch.fd);
		await(c.done);
		ck_assert_int_eq(atomic_load(&c.count), i);
	}
	int64_t start = sos_clock_ns();
	sos_timer_set(loop, &c.timer, sos_clock_deadline(3600000));
	sos_timer_set(loop, &c.timer, sos_clock_deadline(30)); /* moved forward */
	await(c.done);
	ck_assert_int_ge(sos_clock_ns() - start, 29000000);
	ck_assert_int_eq(atomic_load(&c.count), 4);
	sos_loop_remove(loop, &c.watch);
	sos_loop_remove(loop, &c.watch); /* again: nothing happens */
	sos_timer_cancel(loop, &c.timer);
	sos_loop_free(loop);
	teardown(&c);
}
END_TEST

struct order {
	struct sos_timer timer;
	int *log, *logged, value, done;
};

static void log_order(struct sos_timer *timer)
{
	struct order *o = sos_list_entry(timer, struct order, timer);
	o->log[(*o->logged)++] = o->value;
	tell(o->done);
}

START_TEST(timers_fire_in_order)
{
	struct sos_loop *loop;
	struct order timers[5];
	int log[5], logged = 0, done = eventfd(0, EFD_SEMAPHORE);
	static const int delays[5] = { 40, 10, 50, 20, 30 };
	ck_assert_int_eq(sos_loop_new(&loop, NULL), 0);
	int64_t now = sos_clock_ns();
	for (int i = 0; i < 5; i++) {
		timers[i] = (struct order){ .log = log, .logged = &logged, .value = delays[i], .done = done };
		sos_timer_init(&timers[i].timer, log_order);
		sos_timer_set(loop, &timers[i].timer, now + delays[i] * 1000000LL);
	}
	for (int i = 0; i < 5; i++)
		await(done);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(log[i], 10 * (i + 1));
	sos_loop_free(loop);
	close(done);
}
END_TEST

/* After remove returned nothing of the callback runs, however hard events come. */
static void *hammer(void *data)
{
	struct counter *c = data;
	for (int i = 0; i < 20000; i++) {
		uint64_t one = 1;
		if (write(c->watch.fd, &one, sizeof(one)) < 0)
			continue;
	}
	return NULL;
}

static void quiet_ready(struct sos_watch *watch, uint32_t events)
{
	struct counter *c = sos_list_entry(watch, struct counter, watch);
	uint64_t value;
	atomic_fetch_add(&c->inside, 1);
	if (read(watch->fd, &value, sizeof(value)) > 0)
		atomic_fetch_add(&c->count, 1);
	atomic_fetch_sub(&c->inside, 1);
}

START_TEST(removed_means_removed)
{
	struct sos_loop *loop;
	ck_assert_int_eq(sos_loop_new(&loop, NULL), 0);
	for (int round = 0; round < 20; round++) {
		struct counter c;
		pthread_t thread;
		setup(&c, loop);
		c.watch.ready = quiet_ready;
		pthread_create(&thread, NULL, hammer, &c);
		for (int i = 0; i < 50; i++) {
			ck_assert_int_eq(sos_loop_add(loop, &c.watch, EPOLLIN), 0);
			ck_assert_int_eq(sos_loop_modify(loop, &c.watch, 0), 0);
			ck_assert_int_eq(sos_loop_modify(loop, &c.watch, EPOLLIN), 0);
			sos_loop_remove(loop, &c.watch);
			int count = atomic_load(&c.count);
			ck_assert_int_eq(atomic_load(&c.inside), 0);
			sched_yield();
			ck_assert_int_eq(atomic_load(&c.count), count);
		}
		pthread_join(thread, NULL);
		teardown(&c);
	}
	sos_loop_free(loop);
}
END_TEST

UNIT_MAIN("loop", watches_and_timers, timers_fire_in_order, removed_means_removed)
