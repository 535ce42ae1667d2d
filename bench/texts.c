/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "texts.h"

#define LONG_BYTES 4000
#define LONG_STEPS 44 /* as BENCH_TEXT_LONG_OUTPUT says */
#define HEREDOC_BYTES 102400
#define LINE_BYTES 80

const char *bench_text_long(void)
{
	static char text[LONG_BYTES + 1];
	size_t at = 0, steps = 0;

	if (text[0])
		return text;
	at += (size_t)snprintf(text, sizeof(text), "n=0\n");
	while (steps < LONG_STEPS)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "n=$((n + 1)); if [ \"$n\" -lt 1 ]; then "
				       "echo \"step %zu of %d went wrong: $n\" >&2; fi\n",
				       ++steps, LONG_STEPS);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "echo \"$n\"\n#");
	/* A comment up to the size that is promised. */
	memset(text + at, '.', LONG_BYTES - at);
	return text;
}

const char *bench_text_heredoc(void)
{
	static const char head[] = "wc -c <<'EOF'\n", tail[] = "EOF";
	static char text[sizeof(head) + HEREDOC_BYTES + sizeof(tail)];
	size_t at = sizeof(head) - 1;

	if (text[0])
		return text;
	memcpy(text, head, at);
	for (size_t line = 0; line < HEREDOC_BYTES / LINE_BYTES; line++, at += LINE_BYTES) {
		memset(text + at, 'a' + (int)(line % 26), LINE_BYTES - 1);
		text[at + LINE_BYTES - 1] = '\n';
	}
	memcpy(text + at, tail, sizeof(tail));
	return text;
}
