/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One attempt of a start to bring a container up: from its description to a
 * session that takes commands. */

#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/admission.h"
#include "core/sandbox.h"
#include "engine/engine.h"

struct sos_buffer;
struct sos_run;

struct sos_launch {
	struct sos_pool *pool;
	struct sos_sandbox *sandbox;
	struct sos_starter *starter;
	enum sos_admission_class admission;
	struct sos_engine_call call;
	struct sos_engine_image image;
	enum sos_transport transport; /* to use; AUTO: both ways, whichever works */
	char *network;                /* id; NULL: none */

	/* Outputs. What was made is there after a failure too. */
	struct sos_run *run;
	enum sos_shell shell;
	int64_t up_ns;   /* when sos-init said hello */
	bool no_socket;  /* it failed because the socket way does not work here */
	bool no_init;    /* because sos-init is not in the volume */
	bool no_network; /* because the network is gone */
};

int sos_launch(struct sos_launch *launch, struct sos_error *error);
/* Its parts, for a container that is up: tell sos-init what the sandbox is; open its session. */
int sos_launch_set_up(struct sos_launch *launch, struct sos_error *error);
int sos_launch_open_session(struct sos_launch *launch, struct sos_error *error);
/* What sos-init keeps for whoever comes after us. */
int sos_launch_record(const struct sos_sandbox *sandbox, struct sos_buffer *record, struct sos_error *error);

/* launch_spec.c. Describe the container to the Engine and have it made. */
int sos_launch_create(struct sos_launch *launch, const char *directory, struct sos_error *error);
/* The user that children run as; "" root. */
const char *sos_launch_user(const struct sos_launch *launch);
