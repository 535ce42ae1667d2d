/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/plain.h"

#include "unit.h"

static enum sos_plain plain(const char *text)
{
	size_t length = strlen(text);
	char *exact = unit_exact(text, length);
	enum sos_plain kind = sos_plain(exact, &length);
	free(exact);
	return kind;
}

START_TEST(what_is_plain)
{
	static const struct {
		const char *text;
		enum sos_plain kind;
	} texts[] = {
		{ "echo hi", SOS_PLAIN_QUIET },
		{ "  :  ", SOS_PLAIN_QUIET },
		{ "true;false && echo a=b,c:@% || echo -n", SOS_PLAIN_QUIET },
		{ "echo \"a  b\" 'c $d \\ `x` !y' e\"f\"'g'\n\n", SOS_PLAIN_QUIET },
		{ "pwd", SOS_PLAIN_BUILTINS },
		{ "cd /tmp && pwd; echo", SOS_PLAIN_BUILTINS },
		{ "/bin/true", SOS_PLAIN_PROGRAMS },
		{ "ls -la /etc | grep pass; pwd", SOS_PLAIN_PROGRAMS },
		{ "echo a | true", SOS_PLAIN_PROGRAMS },
		{ "git commit -m 'it is \"so\"'", SOS_PLAIN_PROGRAMS },
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(plain(texts[i].text) == texts[i].kind, "%s: %d", texts[i].text, plain(texts[i].text));
}
END_TEST

/* Everything that bash would expand, redirect, assign, keep for later, read on for, or do to itself. */
START_TEST(what_is_not)
{
	static const char *const texts[] = {
		"", " ", "\n", ";", "&&", "|", "echo hi;", "echo hi;;", "echo &", "echo & echo", "&& echo", "echo &&", "echo |",
		"| cat", "echo || ", "echo |& cat", "echo ; ; echo", "echo $x", "echo `x`", "echo \"$x\"", "echo \"`x`\"",
		"echo \"\\x\"", "echo \"!x\"", "echo \\x", "echo 'x", "echo \"x", "echo x'", "echo 'a\nb'", "echo a\necho b",
		"echo\ta", "echo 'a\tb'", "echo a\rb", "echo \xc3\xa4", "echo '\xc3\xa4'", "echo *", "echo a?", "echo [a]",
		"echo {a,b}", "echo ~", "echo ^a", "echo #", "echo a#b", "echo !x", "! true", "echo >f", "echo <f", "echo (a)", "(echo)",
		"{ echo", "a=b", "a=b echo", "a+=b true", "'echo' hi", "\"echo\" hi", "ec'ho' hi", "\\echo hi", "%1", "=x", "@",
		"a@b c", "a,b", "a%b",
		". f", "source f", "eval x", "exec cat", "exit", "exit 3", "return", "set -e", "export A=b", "unset A", "alias a=b",
		"trap x ERR", "enable -n echo", "builtin echo", "command echo", "printf x", "read x", "mapfile x", "declare x",
		"local x", "typeset x", "readonly x", "if true", "then true", "while true", "for x in a", "case x in", "function f",
		"time true", "coproc cat", "wait", "jobs", "fg", "bg", "kill 1", "test -t 0", "umask 0", "ulimit -n 1", "shopt -s x",
		"pushd /", "hash -r", "let x", "getopts a b", "shift", "suspend", "true && exit", "true; exec cat", "ls | read x",
		"logout", "history", "fc", "bind x", "complete x", "compgen -c", "disown", "help", "type x", "times", "caller",
		"in", "do", "done", "esac", "fi", "elif", "else", "until x", "select x", "break", "continue", "dirs", "popd",
		"readarray x", "unalias x", "compopt x",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(plain(texts[i]) == SOS_PLAIN_NO, "%s: %d", texts[i], plain(texts[i]));
	for (int c = 1; c < 256; c++) {
		char text[] = { 'e', 'c', 'h', 'o', ' ', 'a', (char)c, 'b', 0 };
		bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr(" _/.-+:=,@%;|", c);
		ck_assert_msg((plain(text) != SOS_PLAIN_NO) == good, "byte %d", c);
	}
	size_t length = 3;
	ck_assert_int_eq(sos_plain("a\0b", &length), SOS_PLAIN_NO);
}
END_TEST

START_TEST(how_long)
{
	char text[2 * SOS_PLAIN_MAX];
	memset(text, 'a', sizeof(text));
	size_t length = SOS_PLAIN_MAX;
	ck_assert_int_eq(sos_plain(text, &length), SOS_PLAIN_PROGRAMS);
	length = SOS_PLAIN_MAX + 1;
	ck_assert_int_eq(sos_plain(text, &length), SOS_PLAIN_NO);
	length = 10;
	ck_assert_int_eq(sos_plain("echo hi \n ", &length), SOS_PLAIN_QUIET);
	ck_assert_uint_eq(length, 7);
}
END_TEST

UNIT_MAIN("plain", what_is_plain, what_is_not, how_long)
