/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/driver.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy(data, size);
	size_t at = 0;
	while (at < size) {
		struct sos_record record;
		bool found;
		size_t used = sos_record_parse(copy + at, size - at, &record, &found);
		MUST(used <= size - at);
		if (found) {
			/* What was read gives lines that fit. */
			char line[SOS_DRIVER_LINE];
			MUST(record.code >= 0 && record.code <= 255 && strlen(record.flags) < SOS_DRIVER_FLAGS);
			struct sos_driver bash = { SOS_DIALECT_BASH, "/text", "/restore", false };
			MUST(sos_driver_run(line, &bash, record.of, &record, SOS_WAY_CAREFUL) > 0);
			MUST(sos_driver_prefix(line, &bash, &record) < SOS_DRIVER_LINE);
		}
		if (!used)
			break;
		at += used;
	}
	free(copy);
	return 0;
}
