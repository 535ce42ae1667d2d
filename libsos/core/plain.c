/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/plain.h"

#include <string.h>

/* Builtins that stay in the shell and touch neither its input nor anything that outlives the command but the
 * directory. */
static const char *const harmless[] = { "cd", "pwd" };
static const char *const quiet[] = { ":", "echo", "false", "true" };

/* All other builtins and keywords of bash, of every version: what is none of these is a program, or not found. */
static const char *const refused[] = {
	".",       "alias",   "bg",     "bind",    "break",     "builtin",  "caller",   "case",   "command",
	"compgen", "complete", "compopt", "continue", "coproc", "declare",  "dirs",     "disown", "do",
	"done",    "elif",    "else",   "enable",  "esac",      "eval",     "exec",     "exit",   "export",
	"fc",      "fg",      "fi",     "for",     "function",  "getopts",  "hash",     "help",   "history",
	"if",      "in",      "jobs",   "kill",    "let",       "local",    "logout",   "mapfile", "popd",
	"printf",  "pushd",   "read",   "readarray", "readonly", "return",  "select",   "set",    "shift",
	"shopt",   "source",  "suspend", "test",   "then",      "time",     "times",    "trap",   "type",
	"typeset", "ulimit",  "umask",  "unalias", "unset",     "until",    "wait",     "while",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool one_of(const char *const *names, size_t count, const char *word, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
			return true;
	return false;
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/' ||
	       c == '.' || c == '-' || c == '+';
}

/* The end of a quoted piece that begins at `text`; NULL: it is not plain, or has no end. */
static const char *quoted(const char *text, const char *end)
{
	char quote = *text++;
	for (; text < end && *text != quote; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < ' ' || c >= 0x7f)
			return NULL;
		if (quote == '"' && (c == '$' || c == '`' || c == '\\' || c == '!'))
			return NULL;
	}
	return text < end ? text + 1 : NULL;
}

/* The end of a command's argument; NULL: it is not plain. */
static const char *argument(const char *text, const char *end)
{
	while (text && text < end && *text != ' ' && *text != ';' && *text != '&' && *text != '|') {
		if (*text == '\'' || *text == '"')
			text = quoted(text, end);
		else if (letter(*text) || strchr(":=,@%", *text))
			text++;
		else
			return NULL;
	}
	return text;
}

static enum sos_plain at_least(enum sos_plain kind, enum sos_plain other)
{
	return kind > other ? kind : other;
}

/* ; && || |, and what it says of the commands. */
static const char *joint(const char *text, const char *end, enum sos_plain *kind)
{
	bool twice = end - text > 1 && text[1] == *text;
	switch (*text) {
	case ';':
		return twice ? NULL : text + 1;
	case '&':
		return twice ? text + 2 : NULL;
	case '|':
		if (!twice)
			*kind = SOS_PLAIN_PROGRAMS;
		return text + (twice ? 2 : 1);
	}
	return NULL;
}

static const char *blanks(const char *text, const char *end)
{
	while (text < end && *text == ' ')
		text++;
	return text;
}

enum sos_plain sos_plain(const char *text, size_t *length)
{
	enum sos_plain kind = SOS_PLAIN_QUIET;
	size_t size = *length;
	while (size && size <= SOS_PLAIN_MAX && (text[size - 1] == '\n' || text[size - 1] == ' '))
		size--;
	if (size > SOS_PLAIN_MAX)
		return SOS_PLAIN_NO;
	*length = size;
	for (const char *end = text + size;;) {
		const char *word = text = blanks(text, end);
		while (text < end && (letter(*text) || *text == ':'))
			text++;
		size = (size_t)(text - word);
		if (!size || (text < end && *text != ' ' && *text != ';' && *text != '&' && *text != '|') ||
		    one_of(refused, COUNT(refused), word, size))
			return SOS_PLAIN_NO;
		if (!one_of(quiet, COUNT(quiet), word, size))
			kind = at_least(kind, one_of(harmless, COUNT(harmless), word, size) ? SOS_PLAIN_BUILTINS :
											      SOS_PLAIN_PROGRAMS);
		while ((text = blanks(text, end)) < end && *text != ';' && *text != '&' && *text != '|')
			if (!(text = argument(text, end)))
				return SOS_PLAIN_NO;
		if (text == end)
			return kind;
		if (!(text = joint(text, end, &kind)))
			return SOS_PLAIN_NO;
	}
}
