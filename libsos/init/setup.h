/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What SETUP told: who the children are, where they start, with what. Nothing
 * of the tenant's runs before it. */

#include <stdbool.h>

#include "init/user.h"
#include "wire/frame.h"

/* Answers the request; false: a violation. */
bool sos_setup(const struct sos_frame *frame);
/* HANDOVER: whose container it is from now on. Answers where that was asked for; false: a violation. */
bool sos_setup_hand_over(const struct sos_frame *frame);
bool sos_setup_done(void);
const struct sos_user *sos_setup_user(void);
/* "": the directory that sos-init was started in. */
const char *sos_setup_directory(void);
/* enum sos_shell of the library: 0 none, 1 sh, 2 bash. */
uint32_t sos_setup_shell(void);

/* The opaque record, which comes back in HELLO. */
void sos_setup_remember(struct sos_frame_string record);
struct sos_frame_string sos_setup_record(void);
