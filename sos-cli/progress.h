/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting a sandbox, with one line on the terminal that says what it waits for. */

#include "cli.h"

/* 0: it takes commands. Otherwise an exit code; 128 + n after signal n, and then the server was told to forget the
 * start. */
int sos_progress_start(struct sos_cli *cli, const char *id);
