/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The children's environment: the container's own (the image's) without what
 * was meant for sos-init, over it SETUP's, and defaults where unset. */

#include <stdbool.h>

#include "init/user.h"
#include "wire/frame.h"

/* Takes SOS_* out of `envp` and wipes them there. */
void sos_environ_init(char **envp);
/* SETUP: start again from the container's own. False: too much. */
bool sos_environ_build(const struct sos_frame_string *over, uint32_t count, const struct sos_user *user,
		       const char *shell);
char **sos_environ(void);
/* Nothing by which a tenant or an image could steer a program: for judges. */
char **sos_environ_clean(void);
const char *sos_environ_get(char **environment, const char *name);
