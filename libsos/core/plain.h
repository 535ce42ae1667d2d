/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which commands may be typed to a shell as they stand, for half the price of
 * a text file (see driver.h). Pure. */

#include <stdbool.h>
#include <stddef.h>

#define SOS_PLAIN_MAX 512

enum sos_plain {
	SOS_PLAIN_NO,
	SOS_PLAIN_QUIET,    /* of builtins that start no process, read nothing and have nothing to say on stderr */
	SOS_PLAIN_BUILTINS, /* the same, but for stderr */
	SOS_PLAIN_PROGRAMS  /* may start programs */
};

/*
 * Plain is a text of simple commands, joined by ; && || and |, of literal words
 * only: nothing is expanded, redirected, assigned or sent to the background,
 * and no word in a command's place is a keyword or a builtin that could change
 * what the shell does with later lines. In a shell without functions, aliases,
 * traps and PROMPT_COMMAND bash does the same with it typed as sourced, and has
 * none of those afterwards either. `*length` loses blanks and newlines at the end.
 */
enum sos_plain sos_plain(const char *text, size_t *length);
