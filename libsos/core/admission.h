/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many containers of a pool the Engine makes at one time. It is bound by
 * the machine's cores, and more at once only makes each take longer. Starts that
 * somebody waits for go before refills of the warm stock, each in order of
 * arrival. Removals do not come here, so that nothing can keep them from giving
 * slots back; the workers bound them. */

#include <pthread.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/list.h"

enum sos_admission_class { SOS_ADMIT_START, SOS_ADMIT_REFILL, SOS_ADMIT_CLASSES };

struct sos_admission {
	pthread_mutex_t lock;
	struct sos_list waiting[SOS_ADMIT_CLASSES]; /* of those who wait, on their stacks */
	unsigned limit, used;
};

void sos_admission_init(struct sos_admission *admission, unsigned limit);
void sos_admission_clear(struct sos_admission *admission);
/* 0: go on, and leave afterwards. DEADLINE, CANCELLED, LIMIT. `cancel_fd` may be -1. */
int sos_admission_enter(struct sos_admission *admission, enum sos_admission_class which, int64_t deadline,
			int cancel_fd, struct sos_error *error);
void sos_admission_leave(struct sos_admission *admission);
