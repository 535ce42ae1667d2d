/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli.h"

/* Which server, and what it wants to be shown. */
struct sos_remote {
	char *url;           /* with its scheme, without a slash at its end */
	char *authorization; /* a header line; NULL: none */
	bool local;          /* this machine's own */
};

/* From the options and the environment. 0 or an exit code. */
int sos_remote_find(struct sos_cli *cli, struct sos_remote *remote);
void sos_remote_free(struct sos_remote *remote);
