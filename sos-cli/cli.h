/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every file of the command line shares: the record of a command, the
 * exit codes, and the one place where a failure is kept until main prints it. */

#include <stdbool.h>
#include <stddef.h>

struct sos_client;

/* Besides these: what the sandbox's command returned, and 128 + n for signal n. */
enum sos_exit {
	SOS_EXIT_OK = 0,
	SOS_EXIT_USAGE = 2,     /* our own command line is wrong */
	SOS_EXIT_TIMEOUT = 124, /* the command ran into its time limit; as timeout(1) */
	SOS_EXIT_FAILED = 125,  /* SoS failed, not the command; as docker run */
	SOS_EXIT_SIGNAL = 128,
	SOS_EXIT_PIPE = 141 /* who reads our output went away */
};

struct sos_cli {
	const char *server;        /* --server; NULL: SOS_SERVER, then localhost */
	const char *token_file;    /* --token-file; NULL: SOS_TOKEN */
	struct sos_client *client; /* made by the first request */
	char *failure;             /* one message, printed by main; NULL: nothing to say */
};

struct sos_command {
	const char *path; /* "sandbox exec": how a user writes it, without "sos" */
	const char *name; /* "exec" */
	const char *alias;
	const char *summary;
	const char *help; /* usage, options, examples */
	/* argv[0] is the command's name. Returns an exit code. */
	int (*run)(struct sos_cli *cli, int argc, char **argv);
};

extern const struct sos_command sos_command_serve;
extern const struct sos_command sos_command_sandbox;
extern const struct sos_command sos_command_session;
extern const struct sos_command sos_command_pool;
extern const struct sos_command sos_command_warm;
extern const struct sos_command sos_command_help;
extern const struct sos_command sos_command_create;
extern const struct sos_command sos_command_list;
extern const struct sos_command sos_command_start;
extern const struct sos_command sos_command_exec;
extern const struct sos_command sos_command_result;
extern const struct sos_command sos_command_stop;
extern const struct sos_command sos_command_info;
extern const struct sos_command sos_command_trajectory;

/* NULL-terminated. */
extern const struct sos_command *const sos_commands[];
extern const struct sos_command *const sos_sandbox_commands[];
extern const struct sos_command *const sos_pool_commands[];
/* Those of a command that has some; NULL: it has none. */
const struct sos_command *const *sos_command_children(const struct sos_command *command);

const struct sos_command *sos_command_find(const struct sos_command *const *commands, const char *name);

/* Keep the message of a failure, in place of an earlier one; returns `exit_code`. */
int sos_fail(struct sos_cli *cli, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for a wrong command line; the message says where the help is. */
int sos_fail_usage(struct sos_cli *cli, const struct sos_command *command, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Put "TEXT: " in front of the message, if there is one; returns `exit_code`. */
int sos_fail_prefix(struct sos_cli *cli, int exit_code, const char *text);
/* Print and forget the message: for a command that goes on after a failure. */
void sos_fail_report(struct sos_cli *cli);
