/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli.h"

/*
 * The full id for what a user gave: a whole id as it is, without asking; else
 * the one sandbox whose id begins with it (at least four characters).
 * 0 and `*id` to be freed, or an exit code.
 */
int sos_target_find(struct sos_cli *cli, const char *given, char **id);
