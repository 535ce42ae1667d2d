/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lock: admission->lock guards the counts and those who wait; innermost, held
 * for list work only. */

#include "core/admission.h"

#include <stdbool.h>

#include "core/wait.h"
#include "util/error.h"
#include "util/guard.h"

struct waiter {
	struct sos_list node;
	struct sos_condition come;
	bool admitted;
};

void sos_admission_init(struct sos_admission *admission, unsigned limit)
{
	pthread_mutex_init(&admission->lock, NULL);
	for (size_t i = 0; i < SOS_ADMIT_CLASSES; i++)
		sos_list_init(&admission->waiting[i]);
	admission->limit = limit;
	admission->used = 0;
}

void sos_admission_clear(struct sos_admission *admission)
{
	pthread_mutex_destroy(&admission->lock);
}

static bool may_go_locked(const struct sos_admission *admission, enum sos_admission_class which)
{
	for (size_t i = 0; i <= which; i++)
		if (!sos_list_empty(&admission->waiting[i]))
			return false;
	return admission->used < admission->limit;
}

int sos_admission_enter(struct sos_admission *admission, enum sos_admission_class which, int64_t deadline,
			int cancel_fd, struct sos_error *error)
{
	SOS_LOCKED(&admission->lock);
	if (may_go_locked(admission, which)) {
		admission->used++;
		return 0;
	}
	struct waiter waiter = {.admitted = false};
	int r = 0;
	sos_condition_init(&waiter.come);
	sos_list_append(&admission->waiting[which], &waiter.node);
	while (!waiter.admitted && !r)
		r = sos_condition_wait(&waiter.come, &admission->lock, deadline, cancel_fd);
	if (!waiter.admitted)
		sos_list_remove(&waiter.node);
	sos_condition_clear(&waiter.come);
	if (waiter.admitted)
		return 0;
	if (r == SOS_ERROR_DEADLINE)
		return sos_error_set(error, r, "the Engine was busy with %u other containers for all of the time",
				     admission->limit);
	return sos_error_set(error, r, r == SOS_ERROR_CANCELLED ? "cancelled" : "no descriptor to wait by");
}

void sos_admission_leave(struct sos_admission *admission)
{
	SOS_LOCKED(&admission->lock);
	admission->used--;
	for (size_t i = 0; i < SOS_ADMIT_CLASSES; i++) {
		if (sos_list_empty(&admission->waiting[i]))
			continue;
		struct waiter *first = sos_list_entry(admission->waiting[i].next, struct waiter, node);
		sos_list_remove(&first->node);
		first->admitted = true;
		admission->used++;
		sos_condition_notify(&first->come);
		return;
	}
}
