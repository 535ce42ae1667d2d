/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lines of standard input for a session: a prompt on a terminal, none else. A
 * line that ends in a backslash goes on in the next one. Signals must be held. */

#include "bytes.h"

#include <stdbool.h>

struct sos_reader {
	struct sos_bytes pending;
	size_t taken; /* of pending, by lines that were given out */
	bool terminal;
	bool ended;
};

enum sos_reader_event { SOS_READER_LINE, SOS_READER_END, SOS_READER_SIGNAL, SOS_READER_FAILED };

/*
 * The next command in `line`, without its newline. SIGNAL: `*signal` came; what
 * was typed of the line is gone. FAILED: errno says how.
 */
enum sos_reader_event sos_reader_next(struct sos_reader *reader, struct sos_bytes *line, int *signal);
void sos_reader_free(struct sos_reader *reader);
