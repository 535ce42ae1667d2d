/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/image_ref.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sos_image_ref ref, again;
	const char *why = NULL;
	char *text = malloc(size + 1), whole[600];
	MUST(text);
	memcpy(text, data, size);
	text[size] = 0;
	if (sos_image_ref_parse(text, &ref, &why) < 0) {
		MUST(why && *why);
	} else if (!ref.is_id) {
		/* It can be written again from its parts and means the same. */
		MUST(*ref.name && (*ref.tag || *ref.digest));
		snprintf(whole, sizeof(whole), "%s%s%s%s%s", ref.name, *ref.tag ? ":" : "", ref.tag,
			 *ref.digest ? "@" : "", ref.digest);
		MUST(sos_image_ref_parse(whole, &again, &why) == 0);
		/* "sha256:" and 64 digits is an id, but may have been a name with a tag and a digest before. */
		MUST(again.is_id || memcmp(&ref, &again, sizeof(ref)) == 0);
		/* Nothing that needs escaping in a path, a line or a log. */
		for (const char *c = whole; *c; c++)
			MUST(*c > ' ' && *c < 0x7f && !strchr("\"'\\%?#&<>`${}", *c));
	} else {
		MUST(strlen(ref.digest) == 71 && !*ref.name && !*ref.tag);
	}
	free(text);
	return 0;
}
