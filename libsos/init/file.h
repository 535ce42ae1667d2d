/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files of children that the library fills by PUT frames, where it cannot pass
 * descriptors in. Contents may come before the child. */

#include <stdbool.h>
#include <stdint.h>

#include "wire/frame.h"

/* PUT; false: a violation. */
bool sos_file_put(const struct sos_frame *frame);
/* The file that is there for a new child, or an empty one: the caller's from now on. A negative errno. */
int sos_file_take(uint32_t child, uint32_t target);
/* Back again: the child could not be started, and is tried once more. */
void sos_file_give_back(uint32_t child, uint32_t target, int fd);
/* Those of a child that will not come. */
void sos_file_forget(uint32_t child);
