/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ordinary tests out of a fuzz target: its seeds, everything that a seed
 * begins with, and each seed with single bytes changed. usage: TARGET DIRECTORY */
#include <dirent.h>

#include "fuzz.h"

#define SEED_LIMIT (1u << 20)
#define VARIED_LIMIT 1024 /* prefixes and changes are tried up to here */

static void vary(uint8_t *data, size_t size)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '\n', '\r', '"', '{', '0', ':', '/' };
	size_t varied = size < VARIED_LIMIT ? size : VARIED_LIMIT;
	for (size_t length = 0; length < varied; length++) {
		uint8_t *prefix = fuzz_copy(data, length);
		LLVMFuzzerTestOneInput(prefix, length);
		free(prefix);
	}
	for (size_t i = 0; i < varied; i++) {
		uint8_t kept = data[i];
		for (size_t v = 0; v < sizeof(values); v++) {
			data[i] = values[v];
			LLVMFuzzerTestOneInput(data, size);
		}
		data[i] = kept;
	}
}

static void run(const char *directory, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "rb");
	MUST(file);
	uint8_t *buffer = malloc(SEED_LIMIT);
	MUST(buffer);
	size_t size = fread(buffer, 1, SEED_LIMIT, file);
	fclose(file);
	uint8_t *data = fuzz_copy(buffer, size);
	free(buffer);
	LLVMFuzzerTestOneInput(data, size);
	vary(data, size);
	free(data);
}

int main(int argc, char **argv)
{
	int count = 0;
	MUST(argc == 2);
	setvbuf(stdout, NULL, _IOLBF, 0); /* a crash must not lose the name of the seed before it */
	DIR *directory = opendir(argv[1]);
	MUST(directory);
	for (struct dirent *entry; (entry = readdir(directory));) {
		if (entry->d_name[0] == '.')
			continue;
		run(argv[1], entry->d_name);
		printf("ok %d - %s\n", ++count, entry->d_name);
	}
	closedir(directory);
	if (!count)
		printf("not ok %d - %s has no seeds\n", ++count, argv[1]);
	printf("1..%d\n", count);
	return 0;
}
