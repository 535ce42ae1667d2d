/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options that say what a sandbox shall be: the same for create and session. */

#include "client.h"
#include "parse.h"

enum {
	SOS_SPEC_SETUP = SOS_PARSE_OWN + 0x100,
	SOS_SPEC_ENV,
	SOS_SPEC_LABEL,
	SOS_SPEC_WORKDIR,
	SOS_SPEC_USER,
	SOS_SPEC_MEMORY,
	SOS_SPEC_CPUS,
	SOS_SPEC_PIDS,
	SOS_SPEC_LIFETIME,
	SOS_SPEC_IDLE_TIMEOUT,
	SOS_SPEC_NETWORK,
	SOS_SPEC_STREAMS,
	SOS_SPEC_PROFILE,
	SOS_SPEC_RUNTIME,
	SOS_SPEC_NEW_PRIVILEGES
};

/* clang-format off */
#define SOS_SPEC_OPTIONS                                                      \
	{ "image", required_argument, NULL, 'i' },                            \
	{ "setup", required_argument, NULL, SOS_SPEC_SETUP },                 \
	{ "env", required_argument, NULL, SOS_SPEC_ENV },                     \
	{ "label", required_argument, NULL, SOS_SPEC_LABEL },                 \
	{ "workdir", required_argument, NULL, SOS_SPEC_WORKDIR },             \
	{ "user", required_argument, NULL, SOS_SPEC_USER },                   \
	{ "memory", required_argument, NULL, SOS_SPEC_MEMORY },               \
	{ "cpus", required_argument, NULL, SOS_SPEC_CPUS },                   \
	{ "pids", required_argument, NULL, SOS_SPEC_PIDS },                   \
	{ "lifetime", required_argument, NULL, SOS_SPEC_LIFETIME },           \
	{ "idle-timeout", required_argument, NULL, SOS_SPEC_IDLE_TIMEOUT },   \
	{ "network", required_argument, NULL, SOS_SPEC_NETWORK },             \
	{ "streams", required_argument, NULL, SOS_SPEC_STREAMS },             \
	{ "profile", required_argument, NULL, SOS_SPEC_PROFILE },             \
	{ "runtime", required_argument, NULL, SOS_SPEC_RUNTIME },             \
	{ "new-privileges", no_argument, NULL, SOS_SPEC_NEW_PRIVILEGES }


#define SOS_SPEC_HELP                                                                                 \
	"      --env NAME=VALUE      a variable; NAME alone passes ours on; may be repeated\n"        \
	"      --label NAME=VALUE    a label of your own; may be repeated\n"                          \
	"      --workdir DIR         where the session begins (default: the image's)\n"               \
	"      --user USER           name, uid, or either with :group (default: the image's)\n"       \
	"      --memory SIZE         memory and swap: 512m, 2g, -1 for no limit (default: 2g)\n"      \
	"      --cpus N              CPUs: 1.5 (default: no limit)\n"                                 \
	"      --pids N              processes and threads, -1 for no limit (default: 512)\n"         \
	"      --lifetime SECONDS    end it this long after its start (default: the server's)\n"      \
	"      --idle-timeout SECS   end it when no command ran for so long (default: off)\n"         \
	"      --network NET         bridge or none (default: bridge; none starts faster)\n"          \
	"      --streams HOW         merged (exact order) or separate (default: merged)\n"            \
	"      --profile PROFILE     standard or strict: no capabilities, no root, no network\n"      \
	"      --runtime NAME        a runtime of the Engine: runsc (default: the Engine's)\n"        \
	"      --new-privileges      let setuid programs work: sudo in images needs it\n"
/* clang-format on */

/* A body with the defaults that older servers want to see; NULL (no memory). */
cJSON *sos_spec_new(void);
/* Put one option into the body. 0, or an exit code; -1: not an option of ours. */
int sos_spec_option(struct sos_parse *parse, cJSON *body, int option, const char *value);
/* Send it. 0 and the id, to be freed, and the answer; or an exit code. */
int sos_spec_create(struct sos_cli *cli, const cJSON *body, char **id, struct sos_response *response);
