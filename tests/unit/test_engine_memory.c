/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every allocation of every call fails in turn: a typed error, nothing leaks. */
#include <errno.h>

#include "engine_kinds.h"

/* The linker's --wrap: allocations of this program and the library, not those of libcurl and cJSON. */
static bool fails(void)
{
	if (fail_after < 0)
		return false;
	if (fail_after > 0) {
		fail_after--;
		return false;
	}
	errno = ENOMEM;
	return true; /* and all later ones */
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static int do_new(void)
{
	struct sos_engine *e = NULL;
	int r = sos_engine_new("tcp://127.0.0.1:1", &e, &error);
	whole((r == 0) == (e != NULL));
	sos_engine_free(e);
	return r;
}

static int do_image(void)
{
	struct sos_engine_image image = { 0 };
	int r = sos_engine_image_inspect(engine, "i", &call, &image, &error);
	whole((r == 0) == (image.id != NULL));
	sos_engine_image_clear(&image);
	return r;
}

static int do_networks(void)
{
	char **ids = NULL;
	size_t count = 0;
	int r = sos_engine_network_list(engine, NULL, &call, &ids, &count, &error);
	whole((r == 0) == (ids != NULL));
	for (size_t i = 0; i < count; i++)
		free(ids[i]);
	free(ids);
	return r;
}

/* Every allocation in turn fails, and all after it. */
static void starve(int (*run)(void), const char *answer)
{
	for (long n = 0;; n++) {
		struct fake_reply reply;
		script(&reply, answer, strlen(answer), false, false);
		fail_after = n;
		int r = run();
		bool over = fail_after > 0;
		fail_after = -1;
		/* A refusal whose words could not be kept is still one; an answer that could not be parsed is no JSON.
		 */
		if (r != (over ? 0 : error.code) ||
		    (r && r != SOS_ERROR_MEMORY && r != SOS_ERROR_ENGINE && r != SOS_ERROR_IMAGE))
			ck_abort_msg("allocation %ld: %d (%d): %s", n, r, error.code, error.message);
		if (over)
			return;
		ck_assert_int_lt(n, 1000);
	}
}

START_TEST(memory_fails)
{
	begin();
	for (size_t k = 0; k < KINDS; k++)
		starve(kinds[k].run, kinds[k].answer);
	starve(do_new, "");
	starve(do_image, "HTTP/1.1 200 OK\r\nContent-Length: "
			 "58\r\n\r\n{\"Id\":\"a\",\"Config\":{\"User\":\"u\",\"Env\":[\"A=b\",\"C=d\",\"E=f\"]}}");
	starve(do_networks, "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n[{\"Id\":\"a\"},{\"Id\":\"b\"}]");
	end();
}
END_TEST

UNIT_MAIN("engine_memory", memory_fails)
