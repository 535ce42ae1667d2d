/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool sos_text_coloured(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	if (no_color && *no_color)
		return false;
	return isatty(fileno(stream)) && term && strcmp(term, "dumb");
}

const char *sos_text_colour(FILE *stream, enum sos_colour colour)
{
	static const char *const sequences[] = {
		[SOS_PLAIN] = "\033[0m",  [SOS_BOLD] = "\033[1m",    [SOS_DIM] = "\033[2m",
		[SOS_GREEN] = "\033[32m", [SOS_YELLOW] = "\033[33m", [SOS_RED] = "\033[31m",
	};
	return sos_text_coloured(stream) ? sequences[colour] : "";
}

void sos_text_print(FILE *stream, const char *text, bool one_line)
{
	bool terminal = isatty(fileno(stream));
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool control = c < 0x20 || c == 0x7f;
		if (terminal && control && (one_line || (c != '\n' && c != '\t')))
			c = '?';
		putc(c, stream);
	}
}

void sos_text_raw(const char *data, size_t length)
{
	while (length && data[length - 1] == '\n')
		length--;
	fwrite(data, 1, length, stdout);
	putchar('\n');
}

int sos_table_add(struct sos_table *table, enum sos_colour colour, const char *format, ...)
{
	if (table->count == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		char **cells = realloc(table->cells, room * sizeof(*cells));
		if (!cells)
			return -1;
		table->cells = cells;
		enum sos_colour *colours = realloc(table->colours, room * sizeof(*colours));
		if (!colours)
			return -1;
		table->colours = colours;
		table->room = room;
	}
	va_list args;
	va_start(args, format);
	char *cell = NULL;
	int length = vasprintf(&cell, format, args);
	va_end(args);
	if (length < 0)
		return -1;
	table->cells[table->count] = cell;
	table->colours[table->count++] = colour;
	return 0;
}

/* Characters, near enough: bytes that begin one in UTF-8. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static size_t column_width(const struct sos_table *table, size_t column)
{
	size_t width = 0;
	for (size_t i = column; i < table->count; i += table->columns)
		if (width_of(table->cells[i]) > width)
			width = width_of(table->cells[i]);
	return width;
}

void sos_table_print(const struct sos_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		bool last = column == table->columns - 1;
		const char *begin = table->colours[i] == SOS_PLAIN ? "" : sos_text_colour(stdout, table->colours[i]);
		fputs(begin, stdout);
		sos_text_print(stdout, table->cells[i], true);
		if (*begin)
			fputs(sos_text_colour(stdout, SOS_PLAIN), stdout);
		if (last)
			putchar('\n');
		else
			printf("%*s", (int)(column_width(table, column) - width_of(table->cells[i]) + 2), "");
	}
}

void sos_table_free(struct sos_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->colours);
	*table = (struct sos_table){ 0 };
}
