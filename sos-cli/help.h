/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli.h"

#include <stdio.h>

/* Print the help of a command; NULL: of sos. Groups list their commands. */
void sos_help_print(FILE *stream, const struct sos_command *command);
