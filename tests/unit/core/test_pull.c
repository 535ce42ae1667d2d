/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starts that share a pull. */

#include <unistd.h>

#include "core/thread.h"
#include "fake.h"
#include "pool_test.h"
#include "../unit.h"

static atomic_int told;

static void progress(void *data, const struct sos_progress *p)
{
	bool *seen = data;
	if (p->phase != SOS_PHASE_PULLING || strcmp(p->text, "layer"))
		return;
	ck_assert_int_eq(p->current, 1);
	ck_assert_int_eq(p->total, 2);
	if (!*seen)
		atomic_fetch_add(&told, 1);
	*seen = true;
}

static struct sos_sandbox *make(struct sos_pool *pool, const char *image)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *sandbox = NULL;
	spec.image = image;
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	return sandbox;
}

static void until_told(int want)
{
	for (int i = 0; i < 2000 && atomic_load(&told) < want; i++)
		usleep(5000);
	ck_assert_int_eq(atomic_load(&told), want);
}

enum { STARTS = 4 };
static struct sos_sandbox *sandboxes[STARTS];
static struct call calls[STARTS];
static bool seen[STARTS];

/* All wait for the pull, and have seen how far it is. */
static struct sos_pool *begin(void)
{
	/* The same image by two names. */
	static const char *const names[] = {"some", "some:latest"};
	struct sos_pool *pool = pool_test_make_pool(STARTS);
	fake_images_missing(true);
	fake_block(FAKE_PULL);
	for (int i = 0; i < STARTS; i++) {
		sandboxes[i] = make(pool, names[i % 2]);
		calls[i].options.progress = progress;
		calls[i].options.progress_data = &seen[i];
		pool_test_launch(&calls[i], sandboxes[i], pool_test_start_thread);
	}
	until_told(STARTS);
	ck_assert_int_eq(fake_calls(FAKE_PULL), 1);
	return pool;
}

static void finish(struct sos_pool *pool)
{
	for (int i = 0; i < STARTS; i++)
		sos_sandbox_unref(sandboxes[i]);
	pool_test_end_pool(pool);
}

START_TEST(one_pull_for_all)
{
	struct sos_pool *pool = begin();
	for (int i = 0; i < STARTS; i++)
		ck_assert_uint_eq(pool_test_state(sandboxes[i]), SOS_STATE_PULLING);
	fake_release(FAKE_PULL);
	for (int i = 0; i < STARTS; i++)
		ck_assert_int_eq(pool_test_finish(&calls[i]), 0);
	ck_assert_int_eq(fake_calls(FAKE_PULL), 1);
	finish(pool);
}
END_TEST

/* Whoever began it may go; the others get their image. */
START_TEST(it_goes_on_without_the_first)
{
	struct sos_pool *pool = begin();
	sos_sandbox_cancel_start(sandboxes[0]);
	ck_assert_int_eq(pool_test_finish(&calls[0]), SOS_ERROR_CANCELLED);
	ck_assert_int_eq(sos_sandbox_stop(sandboxes[1], NULL, NULL), 0);
	ck_assert_int_eq(pool_test_finish(&calls[1]), SOS_ERROR_ENDED);
	fake_release(FAKE_PULL);
	for (int i = 2; i < STARTS; i++)
		ck_assert_int_eq(pool_test_finish(&calls[i]), 0);
	ck_assert_int_eq(fake_calls(FAKE_PULL), 1);
	finish(pool);
}
END_TEST

/* Without anybody it ends, and the next one begins anew. */
START_TEST(it_ends_with_the_last)
{
	struct sos_pool *pool = begin();
	for (int i = 0; i < STARTS; i++)
		sos_sandbox_cancel_start(sandboxes[i]);
	for (int i = 0; i < STARTS; i++)
		ck_assert_int_eq(pool_test_finish(&calls[i]), SOS_ERROR_CANCELLED);
	fake_release(FAKE_PULL);
	ck_assert_int_eq(sos_sandbox_start(sandboxes[0], NULL, NULL), 0);
	ck_assert_int_eq(fake_calls(FAKE_PULL), 2);
	finish(pool);
}
END_TEST

START_TEST(it_fails_for_all)
{
	fake_fail(FAKE_PULL, SOS_ERROR_IMAGE, 1, false, "no such repository");
	struct sos_pool *pool = begin();
	fake_release(FAKE_PULL);
	for (int i = 0; i < STARTS; i++) {
		ck_assert_int_eq(pool_test_finish(&calls[i]), SOS_ERROR_IMAGE);
		ck_assert_ptr_nonnull(strstr(calls[i].error.message, "no such repository"));
	}
	ck_assert_int_eq(fake_calls(FAKE_PULL), 1);
	finish(pool);
}
END_TEST

START_TEST(the_pool_closes)
{
	struct sos_pool *pool = begin();
	sos_pool_close(pool);
	for (int i = 0; i < STARTS; i++)
		ck_assert_int_eq(pool_test_finish(&calls[i]), SOS_ERROR_CANCELLED);
	finish(pool);
}
END_TEST

/* Other images do not wait for it. */
START_TEST(others_are_apart)
{
	struct sos_pool *pool = begin();
	struct sos_sandbox *other = make(pool, "another");
	struct call call = {0};
	/* Its slot first. */
	sos_sandbox_cancel_start(sandboxes[3]);
	ck_assert_int_eq(pool_test_finish(&calls[3]), SOS_ERROR_CANCELLED);
	pool_test_launch(&call, other, pool_test_start_thread);
	fake_wait_blocked(FAKE_PULL, 2);
	fake_release(FAKE_PULL);
	ck_assert_int_eq(pool_test_finish(&call), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pool_test_finish(&calls[i]), 0);
	sos_sandbox_unref(other);
	finish(pool);
}
END_TEST

UNIT_MAIN("pull", one_pull_for_all, it_goes_on_without_the_first, it_ends_with_the_last, it_fails_for_all, the_pool_closes, others_are_apart)
