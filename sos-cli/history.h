/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was typed at the prompt of sessions: $XDG_STATE_HOME/sos/history, else
 * ~/.local/state/sos/history. For people only: nothing fails when it cannot be
 * written. */

#include <stddef.h>

/* A descriptor to append to; -1: none. A file that grew beyond 1 MiB loses its older half. */
int sos_history_open(void);
void sos_history_add(int fd, const char *line, size_t length);
