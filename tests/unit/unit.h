/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The frame of a unit test: a program a module, its results as TAP on stdout
 * (CK_TAP_LOG_FILE_NAME=-, set by meson). */

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline int unit_run(const char *name, const TTest *const *tests)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	tcase_set_timeout(tcase, 120); /* of one test; valgrind is slow */
	for (; *tests; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define UNIT_MAIN(name, ...)                                                                                           \
	int main(void)                                                                                                 \
	{                                                                                                              \
		const TTest *const tests[] = { __VA_ARGS__, NULL };                                                    \
		return unit_run(name, tests);                                                                          \
	}

/* A copy on the heap of exactly that size: a read beyond it is seen by the sanitizers and valgrind. */
static inline void *unit_exact(const void *bytes, size_t length)
{
	void *copy = malloc(length ? length : 1);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, length);
	return copy;
}

/* Small deterministic numbers: a failure can be run again. */
static inline uint32_t unit_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}
