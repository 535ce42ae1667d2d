/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/driver.h"

#include <stdio.h>
#include <string.h>

const char sos_driver_return[] = "\\builtin return \"$1\"\n";

/* Quotes, because IFS is the user's. */
#define RECORD "printf '\\0S%llu.%llu %%s %%s %%s\\0' \"$?\" \"$-\" \"${!-}\""

/* The record, the re-export, and a DEBUG trap taken away; mute, so that neither set -x nor that trap shows it. */
#define TAIL_PLAIN "{ \\builtin " RECORD " >&243;\\exec 241>&244 242>&245;\\trap - DEBUG; } 245>&2 2>&240 244>&1 >&240"
/* Apart for the sake of an `exec >&-`: what is closed is as good as closed in the next command, as writing to it fails
 * with the same words. History holds nothing but lines of ours here. */
#define TAIL_CAREFUL                                                                                            \
	"{ { \\builtin " RECORD " >&243; } >&240 2>&240;"                                                          \
	"{ \\exec 241>&244; } 2>&240 244>&1 >&240||{ \\exec 241</dev/null; } >&240 2>&240;"                       \
	"{ \\exec 242>&245; } 245>&2 2>&240 >&240||{ \\exec 242</dev/null; } >&240 2>&240;"                       \
	"{ \\builtin set +o history;\\trap - DEBUG; } >&240 2>&240; }"

/* What is typed needs no more than its status. */
#define TYPED(kind) "printf '\\0" kind "%llu.%llu %%s\\0' \"$?\""

/* A clean shell lists nothing, and writes into a pipe: to anything else a write may fail, and what is quiet has something
 * to say then. Bash makes BASH_ALIASES and functions from the environment too: all is listed here. */
#define PROBE                                                                 \
	"{ \\builtin declare -F;\\builtin alias -p;\\builtin trap -p;"            \
	"[[ -p /dev/fd/241 && -p /dev/fd/242 ]]||\\builtin printf x;"           \
	"\\builtin printf '%%s\\0P%llu.%llu\\0' \"${PROMPT_COMMAND+x}\"; } >&243"
#define TAIL_PROBE \
	"{ \\builtin " RECORD " >&243;\\exec 241>&244 242>&245;\\trap - DEBUG;" PROBE "; } 245>&2 2>&240 244>&1 >&240"

/* `&&` keeps set -e from ending the shell for a status that bash lets pass, as of `[ a = b ] && x`. `.` by way of
 * `builtin` does not switch set -e off inside, as it would on its own. */
#define RESTORE "\\builtin . %s %d&&\\builtin :"

enum sos_dialect sos_driver_first(enum sos_shell shell)
{
	switch (shell) {
	case SOS_SHELL_BASH:
		return SOS_DIALECT_BASH;
	case SOS_SHELL_SH:
		return SOS_DIALECT_SH;
	case SOS_SHELL_NONE:
		break;
	}
	return SOS_DIALECT_NONE;
}

enum sos_dialect sos_driver_next(enum sos_dialect dialect)
{
	return dialect == SOS_DIALECT_SH ? SOS_DIALECT_SH_LOW : SOS_DIALECT_NONE;
}

static size_t done(int n)
{
	return n > 0 && n < SOS_DRIVER_LINE ? (size_t)n : 0;
}

size_t sos_driver_open(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, struct sos_run_number of)
{
	unsigned long long n = of.sequence, k = of.token;
	switch (driver->dialect) {
	case SOS_DIALECT_BASH:
		return done(snprintf(line, SOS_DRIVER_LINE,
				     "set +o history; history -c; set +H; set -o pipefail; shopt -s execfail; "
				     "unset HISTFILE HISTSIZE HISTFILESIZE MAILCHECK; \\builtin " RECORD " >&243\n",
				     n, k));
	case SOS_DIALECT_SH:
		return done(snprintf(line, SOS_DRIVER_LINE,
				     "(set -o pipefail) && set -o pipefail; exec 3>&- 4>&- 5>&- 6>&-; unset MAILCHECK; "
				     "\\command " RECORD " >&243\n",
				     n, k));
	case SOS_DIALECT_SH_LOW:
		return done(snprintf(line, SOS_DRIVER_LINE,
				     "(set -o pipefail) && set -o pipefail; unset MAILCHECK; "
				     "\\command " RECORD " >&6\n",
				     n, k));
	case SOS_DIALECT_NONE:
		break;
	}
	return 0;
}

static bool has(const struct sos_record *record, char flag)
{
	return strchr(record->flags, flag) != NULL;
}

bool sos_driver_careful(const char *text, size_t length, const struct sos_record *before)
{
	return has(before, 'e') || memmem(text, length, "set", 3) || memmem(text, length, "&-", 2);
}

/* Before the run: a parser that an unfinished construct left broken made whole, options off, the mark set, $? restored. */
static int run_prologue(char *line, size_t size, const struct sos_driver *driver, int mark,
			const struct sos_record *before)
{
	bool bash = driver->dialect == SOS_DIALECT_BASH;
	bool traced = has(before, 'x') || has(before, 'v');
	char status[SOS_DRIVER_PATH + 64] = "";
	/* With options to put back on, the prefix of the text restores $? after that. */
	if (before->code != 0 && bash && !traced)
		snprintf(status, sizeof(status), RESTORE ";", driver->restore, before->code);
	/* Under set -e a status that is not 0 would end the shell here; it would have ended then. */
	else if (before->code != 0 && !bash && !has(before, 'e'))
		snprintf(status, sizeof(status), "(exit %d);", before->code);
	char begin[40] = "";
	if (driver->dialect != SOS_DIALECT_SH_LOW)
		snprintf(begin, sizeof(begin), "\\exec %d>&240 %d>&-;", mark, mark ^ 1);
	return snprintf(line, size, "%s%s%s%s%s", driver->typing ? "\\exec >&240\n" : "",
			before->code == 2 && bash ? ";;\n" : "",
			traced ? (bash ? "\\builtin set +xv\n" : "set +xv\n") : "", begin, status);
}

size_t sos_driver_run(char line[SOS_DRIVER_LINE], struct sos_driver *driver, struct sos_run_number of,
		      const struct sos_record *before, enum sos_way way)
{
	unsigned long long n = of.sequence, k = of.token;
	int mark = SOS_FD_MARK + (int)(of.sequence & 1);
	int at = run_prologue(line, SOS_DRIVER_LINE, driver, mark, before);
	driver->typing = false;
	char *rest = line + at;
	size_t left = (size_t)(SOS_DRIVER_LINE - at);
	int more = 0;
	switch (driver->dialect) {
	case SOS_DIALECT_BASH:
		if (way == SOS_WAY_CAREFUL)
			more = snprintf(rest, left,
					"{ \\builtin . %s 243>&240&&" TAIL_CAREFUL "||" TAIL_CAREFUL "; } "
					"<&240 >&241 2>&242\n",
					driver->text, n, k, n, k);
		else if (way == SOS_WAY_PROBE)
			more = snprintf(rest, left, "{ \\builtin . %s 243>&240;" TAIL_PROBE "; } <&240 >&241 2>&242\n",
					driver->text, n, k, n, k);
		else
			more = snprintf(rest, left, "{ \\builtin . %s 243>&240;" TAIL_PLAIN "; } <&240 >&241 2>&242\n",
					driver->text, n, k);
		break;
	case SOS_DIALECT_SH:
		more = snprintf(rest, left,
				"{ \\. %s 243>&240;"
				"{ \\command " RECORD " >&243;\\exec 241>&244 242>&245; } "
				"244>&1 245>&2 >&240 2>&240; } <&240 >&241 2>&242\n",
				driver->text, n, k);
		break;
	case SOS_DIALECT_SH_LOW:
		more = snprintf(rest, left,
				"{ \\. %s 6>&3;"
				"{ \\command " RECORD " >&6;\\exec 4>&7 5>&8; } "
				"7>&1 8>&2 >&3 2>&3; } <&3 >&4 2>&5\n",
				driver->text, n, k);
		break;
	case SOS_DIALECT_NONE:
		return 0;
	}
	return more > 0 && (size_t)more < left ? (size_t)(at + more) : 0;
}

size_t sos_driver_type(char line[SOS_DRIVER_LINE], struct sos_driver *driver, struct sos_run_number of,
		       const char *text, size_t length, enum sos_plain kind)
{
	static const char *const also[] = {
		[SOS_PLAIN_QUIET] = "",
		[SOS_PLAIN_BUILTINS] = " 2>&242",
		[SOS_PLAIN_PROGRAMS] = " 2>&242 <&240 243>&240",
	};
	const char *begin = driver->typing ? "" : "\\exec >&243\n";
	driver->typing = true;
	return done(snprintf(line, SOS_DRIVER_LINE, "%s{ %.*s;} >&241%s;" TYPED("T") "\n", begin, (int)length, text,
			     also[kind], (unsigned long long)of.sequence, (unsigned long long)of.token));
}

size_t sos_driver_type_again(char line[SOS_DRIVER_LINE], struct sos_run_number of)
{
	return done(snprintf(line, SOS_DRIVER_LINE, TYPED("A") " >&243\n", (unsigned long long)of.sequence,
			     (unsigned long long)of.token));
}

size_t sos_driver_again(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, struct sos_run_number of)
{
	unsigned long long n = of.sequence, k = of.token;
	int mark = SOS_FD_MARK + (int)(of.sequence & 1);
	switch (driver->dialect) {
	case SOS_DIALECT_BASH:
		return done(snprintf(line, SOS_DRIVER_LINE,
				     "\\builtin " RECORD " <&240 2>&242 2>&240 >&241 <&%d >&243;\\builtin unalias {;"
				     "\\trap - DEBUG\n",
				     n, k, mark));
	case SOS_DIALECT_SH:
		return done(snprintf(line, SOS_DRIVER_LINE, "\\command " RECORD " <&240 2>&242 2>&240 >&241 <&%d >&243\n", n, k,
				     mark));
	case SOS_DIALECT_SH_LOW:
		return done(snprintf(line, SOS_DRIVER_LINE, "\\command " RECORD " <&3 2>&5 >&4 >&6\n", n, k));
	case SOS_DIALECT_NONE:
		break;
	}
	return 0;
}

size_t sos_driver_repair(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, struct sos_run_number of)
{
	unsigned long long n = of.sequence, k = of.token;
	if (driver->dialect != SOS_DIALECT_BASH)
		return sos_driver_again(line, driver, of);
	return done(snprintf(line, SOS_DRIVER_LINE,
			     ";;\nPOSIXLY_CORRECT=1\n\\unset -f builtin enable printf unset unalias trap set\n"
			     "\\unset POSIXLY_CORRECT\n\\builtin enable builtin printf . exec trap set unset return\n"
			     "\\builtin unalias {\n\\builtin . %s 0;\\builtin " RECORD " <&240 2>&242 2>&240 >&241 <&%d >&243\n",
			     driver->restore, n, k, SOS_FD_MARK + (int)(of.sequence & 1)));
}

size_t sos_driver_prefix(char line[SOS_DRIVER_LINE], const struct sos_driver *driver, const struct sos_record *before)
{
	bool bash = driver->dialect == SOS_DIALECT_BASH;
	char options[3], *o = options;
	if (has(before, 'x'))
		*o++ = 'x';
	if (has(before, 'v'))
		*o++ = 'v';
	*o = 0;
	if (!*options)
		return 0;
	if (!bash)
		return done(snprintf(line, SOS_DRIVER_LINE, "set -%s\n", options));
	char status[SOS_DRIVER_PATH + 64] = "";
	if (before->code != 0)
		snprintf(status, sizeof(status), "{ " RESTORE "; } 2>&240", driver->restore, before->code);
	return done(snprintf(line, SOS_DRIVER_LINE, "\\builtin set -%s%s%s\n", options, *status ? ";" : "", status));
}

static bool number(const char **at, const char *end, char stop, uint64_t limit, uint64_t *value)
{
	uint64_t v = 0;
	const char *p = *at;
	while (p < end && *p >= '0' && *p <= '9') {
		v = v * 10 + (uint64_t)(*p++ - '0');
		if (v > limit)
			return false;
	}
	if (p == *at || (stop ? p == end || *p != stop : p != end))
		return false;
	*value = v;
	*at = p + (stop ? 1 : 0);
	return true;
}

/* "S12.81985529 0 himBs 345", "T12.81985529 0" (or A) or "P12.81985529", without its NULs. */
static bool parse_body(const char *p, const char *end, struct sos_record *record)
{
	static const char kinds[] = "STAP";
	uint64_t code = 0, last = 0;
	struct sos_record r = { 0 };
	const char *kind = p < end && *p ? strchr(kinds, *p) : NULL;
	if (!kind)
		return false;
	p++;
	r.kind = (enum sos_record_kind)(kind - kinds);
	if (!number(&p, end, '.', UINT64_MAX / 20, &r.of.sequence) ||
	    !number(&p, end, r.kind == SOS_RECORD_PROBE ? 0 : ' ', UINT64_MAX / 20, &r.of.token))
		return false;
	if (r.kind != SOS_RECORD_PROBE && !number(&p, end, r.kind == SOS_RECORD_STATUS ? ' ' : 0, 255, &code))
		return false;
	if (r.kind == SOS_RECORD_STATUS) {
		const char *space = memchr(p, ' ', (size_t)(end - p));
		if (!space || space - p >= SOS_DRIVER_FLAGS)
			return false;
		memcpy(r.flags, p, (size_t)(space - p));
		p = space + 1;
		if (p != end && !number(&p, end, 0, UINT32_MAX, &last))
			return false;
	}
	r.code = (int)code;
	r.last = (uint32_t)last;
	*record = r;
	return true;
}

size_t sos_record_parse(const char *data, size_t length, struct sos_record *record, bool *found)
{
	*found = false;
	const char *start = memchr(data, 0, length);
	if (!start)
		return length; /* junk */
	size_t junk = (size_t)(start - data);
	const char *end = memchr(start + 1, 0, length - junk - 1);
	if (!end)
		return length - junk > 256 ? length : junk;
	*found = parse_body(start + 1, end, record);
	if (*found)
		record->junk = junk;
	/* Where it is none, its closing NUL may open the next one. */
	return (size_t)(end - data) + (*found ? 1 : 0);
}
