/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A condition variable whose waiters may, beside a deadline, name a descriptor
 * that ends their wait. Those wait in poll() on a bell of their own, since
 * nothing waits for both; the others pay nothing for it. */

#include <pthread.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/list.h"

struct sos_condition {
	pthread_cond_t cond;
	struct sos_list bells; /* of those who wait by descriptor, on their stacks; under the caller's mutex */
};

void sos_condition_init(struct sos_condition *condition);
void sos_condition_clear(struct sos_condition *condition);
/* Wake all. With the mutex held. */
void sos_condition_notify(struct sos_condition *condition);
/* With the mutex held, which is let go meanwhile. 0: look again at what is waited for. DEADLINE; CANCELLED: `cancel_fd`
 * (-1: none) is readable; LIMIT: no descriptor for the bell. A wake-up that came too goes before both. */
int sos_condition_wait(struct sos_condition *condition, pthread_mutex_t *mutex, int64_t deadline, int cancel_fd);
