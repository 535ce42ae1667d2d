/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What people see: colours only on a terminal that wants them, text of others
 * without control characters on a terminal. */

#include "json.h"

#include <stdbool.h>
#include <stdio.h>

enum sos_colour { SOS_PLAIN, SOS_BOLD, SOS_DIM, SOS_GREEN, SOS_YELLOW, SOS_RED };

bool sos_text_coloured(FILE *stream);
/* The escape sequence; "" where there are no colours. */
const char *sos_text_colour(FILE *stream, enum sos_colour colour);
/* Others' text; on a terminal control characters become "?", newlines and tabs too if `one_line`. */
void sos_text_print(FILE *stream, const char *text, bool one_line);
/* The bytes of an answer and a newline, as they came: for --json. */
void sos_text_raw(const char *data, size_t length);

/* Rows of cells, columns padded to the widest cell. */
struct sos_table {
	char **cells;
	enum sos_colour *colours;
	size_t columns;
	size_t count; /* of cells */
	size_t room;
};

int sos_table_add(struct sos_table *table, enum sos_colour colour, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void sos_table_print(const struct sos_table *table);
void sos_table_free(struct sos_table *table);
#define SOS_AUTO_TABLE __attribute__((cleanup(sos_table_free)))
