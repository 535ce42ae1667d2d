/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting a program: the one place where a process of the container begins. */

#include <stdbool.h>

#include "wire/frame.h"

/* Remember what children get back: the limits that PID 1 was started with. Then raise its own. */
void sos_spawn_init(void);
/* SPAWN, with the descriptors that came with it, which stay the caller's. Answers, at once or when the program
 * runs; false: a violation. */
bool sos_spawn(const struct sos_frame *frame, const int *fds);
