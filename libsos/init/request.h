/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frames from the library, one by one. */

#include <stdbool.h>

#include "wire/frame.h"

void sos_request_hello(void);
/* False: a violation. */
bool sos_request(const struct sos_frame *frame, const int *fds);
