/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many at one time, and who goes first. */

#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/admission.h"
#include "core/thread.h"
#include "util/guard.h"
#include "../unit.h"

static struct sos_admission admission;
static int order[16];
static atomic_int entered;

struct entry {
	enum sos_admission_class which;
	int number;
	pthread_t thread;
};

static void *enter(void *data)
{
	struct entry *entry = data;
	ck_assert_int_eq(sos_admission_enter(&admission, entry->which, SOS_CLOCK_NEVER, -1, NULL), 0);
	order[atomic_fetch_add(&entered, 1)] = entry->number;
	sos_admission_leave(&admission);
	return NULL;
}

static size_t waiting(enum sos_admission_class which)
{
	size_t count = 0;
	SOS_LOCKED(&admission.lock);
	sos_list_each (node, &admission.waiting[which])
		count++;
	return count;
}

static void launch(struct entry *entry, enum sos_admission_class which, int number)
{
	size_t before = waiting(which);
	*entry = (struct entry){.which = which, .number = number};
	ck_assert_int_eq(sos_thread_start(&entry->thread, enter, entry), 0);
	while (waiting(which) == before)
		usleep(500);
}

START_TEST(starts_go_before_refills)
{
	struct entry entries[6];
	sos_admission_init(&admission, 1);
	ck_assert_int_eq(sos_admission_enter(&admission, SOS_ADMIT_START, SOS_CLOCK_NEVER, -1, NULL), 0);
	for (int i = 0; i < 6; i++)
		launch(&entries[i], i % 2 ? SOS_ADMIT_START : SOS_ADMIT_REFILL, i);
	sos_admission_leave(&admission);
	for (int i = 0; i < 6; i++)
		pthread_join(entries[i].thread, NULL);
	static const int want[] = {1, 3, 5, 0, 2, 4};
	ck_assert_mem_eq(order, want, sizeof(want));
	ck_assert_uint_eq(admission.used, 0);
	sos_admission_clear(&admission);
}
END_TEST

START_TEST(waits_no_longer_than_it_may)
{
	struct sos_error error = SOS_ERROR_INIT;
	int fd = eventfd(1, EFD_CLOEXEC);
	sos_admission_init(&admission, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(sos_admission_enter(&admission, SOS_ADMIT_REFILL, SOS_CLOCK_NEVER, -1, &error), 0);
	ck_assert_int_eq(sos_admission_enter(&admission, SOS_ADMIT_START, sos_clock_deadline(20), -1, &error),
			 SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_admission_enter(&admission, SOS_ADMIT_START, SOS_CLOCK_NEVER, fd, &error),
			 SOS_ERROR_CANCELLED);
	sos_admission_leave(&admission);
	/* Who gave up is in nobody's way. */
	ck_assert_int_eq(sos_admission_enter(&admission, SOS_ADMIT_REFILL, sos_clock_deadline(20), -1, &error), 0);
	sos_admission_leave(&admission);
	sos_admission_leave(&admission);
	ck_assert_uint_eq(admission.used, 0);
	close(fd);
	sos_admission_clear(&admission);
}
END_TEST

UNIT_MAIN("admission", starts_go_before_refills, waits_no_longer_than_it_may)
