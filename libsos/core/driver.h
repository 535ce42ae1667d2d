/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is typed to a shell, and what its status records say. Pure.
 *
 * The user's text never goes down the command pipe. It lies in a file (on the
 * read-only mount, by attach descriptor SOS_FD_TEXT of the shell) that one line
 * sources at top level:
 *
 *	\exec MARK; { \builtin . TEXT 243>&240; { record; re-export; } 245>&2 2>&240 244>&1 >&240; } <&240 >&241 2>&242
 *
 * or, where the text may do what that does not stand (set -e, `exec >&-`), at
 * some more cost:
 *
 *	{ \builtin . TEXT 243>&240 && TAIL || TAIL; } <&240 >&241 2>&242
 *	TAIL: { { record; } >&240 2>&240; { re-export; } 245>&2 2>&240 244>&1 >&240; }
 *
 * `.` (not eval, not typed text) keeps bash from printing "exit" and "[1] pid"
 * and is what ^C unwinds first. Redirecting by duplicating from a high
 * descriptor makes bash keep its saved copies above it, out of the user's
 * reach. The record goes to the status pipe, which the user's text cannot see
 * (243>&240). The re-export makes the user's own `exec >file` last. The inner
 * group is mute, so that set -x and traps show no line of ours. All goes
 * through `builtin`, so that there is only one name that shadowing could break;
 * the line that repairs takes that away in POSIX mode, where no function can
 * stand in for `unset`.
 *
 * What is plain (core/plain.h) is typed as it stands, for half the price, to a
 * shell that is known to be clean:
 *
 *	{ TEXT;} >&241 2>&242;printf ... "$?"
 *
 * Its stdout is the status pipe then, which no process that it starts can see;
 * for other texts, which may set a PROMPT_COMMAND that prints, it is put back.
 * Clean is a shell that has no function, alias, trap or PROMPT_COMMAND and the
 * options that it began with. Only other texts can change that; after one of
 * them the next plain text is sourced, and its line has the shell list what it
 * has of those, to the status pipe, between the record and one more ("P"). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/link.h"
#include "core/plain.h"

/* Descriptors of a session's shell. */
enum {
	SOS_FD_MARK = 236,   /* and 237: open by turns, so that a report can tell that this run began */
	SOS_FD_RETURN = 238, /* by attach, a file: return "$1" */
	SOS_FD_TEXT = 239,   /* by attach */
	SOS_FD_NULL = 240,
	SOS_FD_OUT = 241,
	SOS_FD_ERR = 242,
	SOS_FD_STATUS = 243,
};

enum sos_dialect {
	SOS_DIALECT_BASH,
	SOS_DIALECT_SH,     /* POSIX sh that takes descriptors above 9: busybox */
	SOS_DIALECT_SH_LOW, /* one that does not: dash; ours are 3 to 8 then */
	SOS_DIALECT_NONE
};

#define SOS_DRIVER_LINE 1024
#define SOS_DRIVER_PATH 40

struct sos_driver {
	enum sos_dialect dialect;
	char text[SOS_DRIVER_PATH];    /* the file with the user's text, as the shell opens it */
	char restore[SOS_DRIVER_PATH]; /* and the one that gives $? back */
	bool typing;                   /* the shell's own stdout is the status pipe */
};
#define SOS_DRIVER_FLAGS 32

/* What comes back in a record: a number that says which command it is of, and a token that cannot be guessed, so that
 * no earlier command or job of the tenant can write it. */
struct sos_run_number {
	uint64_t sequence, token;
};

enum sos_record_kind {
	SOS_RECORD_STATUS, /* S: `$?`, `$-` and `$!` */
	SOS_RECORD_PLAIN,  /* T: `$?` of what was typed; nothing else can have changed */
	SOS_RECORD_AGAIN,  /* A: the same, asked for again */
	SOS_RECORD_PROBE   /* P: the end of the list of what makes a shell unclean */
};

struct sos_record {
	enum sos_record_kind kind;
	size_t junk;                  /* bytes that were passed over before it */
	struct sos_run_number of;
	int code;                     /* $? */
	uint32_t last;                /* $! or 0 */
	char flags[SOS_DRIVER_FLAGS]; /* $- */
};

/* The contents of the file `restore`. */
extern const char sos_driver_return[];

/* The first dialect to try for a shell, and the next one after one that did not answer. */
enum sos_dialect sos_driver_first(enum sos_shell shell);
enum sos_dialect sos_driver_next(enum sos_dialect dialect);

/* Lines; each gives its length in `line`. `of` comes back in the record. */
size_t sos_driver_open(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, struct sos_run_number of);
/* How the text file is run; for shells other than bash all are the same. */
enum sos_way {
	SOS_WAY_USUAL,
	SOS_WAY_CAREFUL, /* see sos_driver_careful */
	SOS_WAY_PROBE    /* as usual, and ask whether the shell is clean */
};
/* Run what is in the text file; the driver is not `typing` then. `before`: the record of the command before. */
size_t sos_driver_run(char line[SOS_DRIVER_LINE], struct sos_driver *driver, struct sos_run_number of,
		      const struct sos_record *before, enum sos_way way);
/* Type a plain text to a clean bash; the driver is `typing` then. */
size_t sos_driver_type(char line[SOS_DRIVER_LINE], struct sos_driver *driver, struct sos_run_number of,
		       const char *text, size_t length, enum sos_plain kind);
/* Report again after that, in the place of sos_driver_again: a status of 0 then says that the line never reached the
 * shell, since what takes bash back to its prompt leaves another one. */
size_t sos_driver_type_again(char line[SOS_DRIVER_LINE], struct sos_run_number of);
/* The text may switch set -e on or close a descriptor: it has the words for it, or -e is on. */
bool sos_driver_careful(const char *text, size_t length, const struct sos_record *before);
/* Report again: the shell asks for a line and no record came (^C, ${x?}, set -u). It opens all that a run opens, so
 * that a shell without one of our descriptors does not answer, and wants the mark of this run, so that a line that
 * never reached the shell does not pass for a command that ended. */
size_t sos_driver_again(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, struct sos_run_number of);
/* And once more, after taking away whatever shadows what we use. */
size_t sos_driver_repair(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, struct sos_run_number of);
/* What must stand before the text in its file: options that were taken off for our own lines. */
size_t sos_driver_prefix(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, const struct sos_record *before);

/* Take the next whole record out of `data`: gives how many bytes are done with (0: more are needed) and whether
 * `record` was filled. Anything that is no record is passed over. */
size_t sos_record_parse(const char *data, size_t length, struct sos_record *record, bool *found);
