/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What struct sos_cancel is to the library: a descriptor that becomes readable
 * and stays so, which every wait of ours can take. */

#include <stdbool.h>

#include <sos/sos.h>

/* -1 for NULL: waits take it as none. */
int sos_cancel_fd(const struct sos_cancel *cancel);
/* False for NULL. */
bool sos_cancel_fired(const struct sos_cancel *cancel);
/* Whether a descriptor of that kind is readable; -1 accepted. */
bool sos_cancel_fd_fired(int fd);
/* A descriptor, to be closed, that is readable as soon as one of the two is. SYSTEM, LIMIT. */
int sos_cancel_either(int one, int other, int *fd, struct sos_error *error);
