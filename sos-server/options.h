/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"

struct sos_options {
	const char *listen;      /* IPv4 */
	uint16_t port;
	uint32_t max_sandboxes;
	uint32_t queue_limit;    /* starts that may wait */
	int64_t lifetime_ms;
	const char *token_file;  /* NULL: none */
	bool insecure;
	bool loopback;           /* `listen` is reachable from this machine only */
	const char **allow_hosts;   /* NULL-terminated */
	const char **allow_origins; /* NULL-terminated */
	const char *engine;      /* NULL: the library's default */
	const char *pool;        /* NULL: from the port */
	const char *runtime_dir; /* NULL: the library's default */
	const char **warm;       /* NULL-terminated "IMAGE=N", checked */
	int64_t memory_bytes, pids_limit, cpu_millis;
	uint32_t network, transport;
	uint32_t warm_policy;    /* enum sos_warm_policy */
	enum sos_log_level log_level;
	bool log_json;
};

enum sos_options_outcome { SOS_OPTIONS_RUN, SOS_OPTIONS_DONE, SOS_OPTIONS_WRONG };

/* DONE: help or version was printed. WRONG: one line went to stderr. */
enum sos_options_outcome sos_options_read(struct sos_options *options, int argc, char **argv);
/* Of one of `warm`: its image, to be freed (NULL: no memory), and its number. */
char *sos_options_warm(const char *text, uint32_t *count);
void sos_options_free(struct sos_options *options);
