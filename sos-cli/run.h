/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One command in a sandbox: exec, and every line of a session. Output travels
 * as base64, so that its bytes arrive as they were written. */

#include "client.h"

/* Two streams of the largest cap, 1 GiB, twice each (output and stdout), as base64. */
#define SOS_RUN_ANSWER_LIMIT ((size_t)6 << 30)

struct sos_run {
	struct sos_bytes out;
	struct sos_bytes err;
	struct sos_bytes background;
	double dropped_bytes;
	int exit_code;
	bool exited;
	bool timed_out;
	bool session_lost;
};

void sos_run_free(struct sos_run *run);
#define SOS_AUTO_RUN __attribute__((cleanup(sos_run_free)))

/* A body with an exec_id of its own, by which the result can be had again; NULL (no memory). */
cJSON *sos_run_request(const char *command);

/*
 * Send it. 0 and the server's answer, or an exit code; where the command may
 * still be running the message says how to get at its result.
 */
int sos_run_post(struct sos_cli *cli, const char *id, const cJSON *body, struct sos_response *response);
/* The same, with the encoding added and the answer taken apart. */
int sos_run_send(struct sos_cli *cli, const char *id, cJSON *body, struct sos_run *run);
/* Take apart a result that came otherwise. */
int sos_run_take(struct sos_cli *cli, const cJSON *json, struct sos_run *run);
/* Print output and remarks. 0, or SOS_EXIT_PIPE or another exit code if it could not be written. */
int sos_run_print(struct sos_cli *cli, const struct sos_run *run, bool background);
/* What exec ends with. */
int sos_run_exit_code(struct sos_cli *cli, const struct sos_run *run);
