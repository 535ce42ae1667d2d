/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "expect.h"

#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sha256.h"
#include "lib/tap.h"

const char *expect_string(const cJSON *node, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(node, name));
}

double expect_number(const cJSON *node, const char *name, double otherwise)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(node, name);

	return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

bool expect_true(const cJSON *node, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(node, name));
}

static void append(struct text *text, const char *bytes, size_t length)
{
	text->bytes = realloc(text->bytes, text->length + length + 1);
	if (!text->bytes)
		abort();
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = 0;
}

static void append_hex(struct text *text, const char *hex)
{
	for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		append(text, &(char){ (char)byte }, 1);
}

static void append_node(struct text *text, const cJSON *node)
{
	const cJSON *part;

	if (cJSON_IsString(node)) {
		append(text, node->valuestring, strlen(node->valuestring));
	} else if (cJSON_IsArray(node)) {
		cJSON_ArrayForEach(part, node)
			append_node(text, part);
	} else if (expect_string(node, "hex")) {
		append_hex(text, expect_string(node, "hex"));
	} else if ((part = cJSON_GetObjectItemCaseSensitive(node, "repeat"))) {
		struct text unit = expect_text(part);
		size_t count = (size_t)expect_number(node, "count", 0), start = text->length;

		text->bytes = realloc(text->bytes, start + unit.length * count + 1);
		if (!text->bytes)
			abort();
		for (size_t i = 0; i < count; i++)
			memcpy(text->bytes + start + i * unit.length, unit.bytes, unit.length);
		text->length = start + unit.length * count;
		text->bytes[text->length] = 0;
		free(unit.bytes);
	} else {
		tap_bail("a text in a case file is neither string, array, hex nor repeat");
	}
}

struct text expect_text(const cJSON *node)
{
	struct text text = { 0 };

	append(&text, "", 0);
	append_node(&text, node);
	return text;
}

cJSON *expect_read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	cJSON *cases = cJSON_CreateArray();
	char *line = NULL;
	size_t room = 0;
	int number = 0;

	if (!file)
		tap_bail("cannot open %s", path);
	while (getline(&line, &room, file) >= 0) {
		cJSON *one;

		number++;
		if (line[0] == '#' || line[strspn(line, " \t\n")] == 0)
			continue;
		one = cJSON_Parse(line);
		if (!one || !expect_string(one, "name"))
			tap_bail("%s:%d is not a case", path, number);
		cJSON_AddItemToArray(cases, one);
	}
	free(line);
	fclose(file);
	return cases;
}

/* ---- one step ---- */

static char *differs(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *differs(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	return text;
}

static size_t trimmed(const char *bytes, size_t length)
{
	while (length && memchr(" \t\n\v\f\r", bytes[length - 1], 6))
		length--;
	return length;
}

static char *check_exact(const char *what, const cJSON *want, const char *got, size_t length)
{
	struct text text = expect_text(want);
	char *why = NULL;

	if (text.length != length || memcmp(text.bytes, got, length)) {
		char *a = tap_escape(got, length, 700), *b = tap_escape(text.bytes, text.length, 700);

		why = differs("%s is '%s', want '%s'", what, a, b);
		free(a);
		free(b);
	}
	free(text.bytes);
	return why;
}

static char *check_parts(const cJSON *parts, const char *got, size_t length, bool want)
{
	const cJSON *part;

	cJSON_ArrayForEach(part, parts) {
		struct text text = expect_text(part);
		bool found = memmem(got, length, text.bytes, text.length) != NULL;

		free(text.bytes);
		if (found != want) {
			char *a = tap_escape(got, length, 700), *b = cJSON_PrintUnformatted(part);
			char *why = differs("output '%s' has %s %s", a, want ? "no" : "a", b);

			free(a);
			cJSON_free(b);
			return why;
		}
	}
	return NULL;
}

static char *check_regex(const char *pattern, const char *got, size_t length)
{
	regex_t regex;
	int rc = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);

	if (rc)
		tap_bail("bad regular expression in a case file: %s", pattern);
	rc = regexec(&regex, got, 0, NULL, 0);
	regfree(&regex);
	if (rc) {
		char *a = tap_escape(got, length, 700), *why = differs("output '%s' does not match %s", a, pattern);

		free(a);
		return why;
	}
	return NULL;
}

static char *check_output(const cJSON *step, const struct sos_result *result)
{
	const cJSON *want;
	const char *sum = expect_string(step, "output_sha256"), *pattern = expect_string(step, "output_matches");
	double bytes = expect_number(step, "output_bytes", -1);
	size_t length;
	const char *got = sos_result_output(result, &length);
	char hex[65], *why = NULL, *cut;

	if (!sos_result_standalone(result))
		length = trimmed(got, length);
	want = cJSON_GetObjectItemCaseSensitive(step, "output");
	if (want && !cJSON_IsNull(want))
		why = check_exact("output", want, got, length);
	if (!why)
		why = check_parts(cJSON_GetObjectItemCaseSensitive(step, "output_contains"), got, length, true);
	if (!why)
		why = check_parts(cJSON_GetObjectItemCaseSensitive(step, "output_lacks"), got, length, false);
	if (!why && bytes >= 0 && (double)length != bytes)
		why = differs("output has %zu bytes, want %.0f", length, bytes);
	if (!why && sum) {
		sha256_hex(got, length, hex);
		if (strcmp(hex, sum))
			why = differs("output (%zu bytes) has sha256 %s, want %s", length, hex, sum);
	}
	if (!why && pattern) {
		cut = strndup(got, length);
		why = check_regex(pattern, cut, length);
		free(cut);
	}
	return why;
}

static char *check_flag(const cJSON *step, const char *name, int got, const struct sos_result *result)
{
	if (got == expect_true(step, name))
		return NULL;
	return differs("%s is %s (exit_code %d, timed_out %d, exited %d, session_lost %d, %.1f ms)", name,
		       got ? "true" : "false", sos_result_exit_code(result), sos_result_timed_out(result),
		       sos_result_exited(result), sos_result_session_lost(result),
		       (double)sos_result_duration_ns(result) / 1e6);
}

char *expect_check(const cJSON *step, const struct sos_result *result)
{
	double code = expect_number(step, "exit_code", -1);
	double within = expect_number(step, "within_ms", 0);
	const cJSON *background = cJSON_GetObjectItemCaseSensitive(step, "background_output");
	char *why = check_output(step, result);

	if (!why)
		why = check_flag(step, "timed_out", sos_result_timed_out(result), result);
	if (!why)
		why = check_flag(step, "exited", sos_result_exited(result), result);
	if (!why)
		why = check_flag(step, "session_lost", sos_result_session_lost(result), result);
	if (!why && code >= 0 && sos_result_exit_code(result) != code)
		why = differs("exit_code is %d, want %.0f", sos_result_exit_code(result), code);
	if (!why && within > 0 && (double)sos_result_duration_ns(result) / 1e6 > within)
		why = differs("took %.0f ms, want at most %.0f", (double)sos_result_duration_ns(result) / 1e6, within);
	if (!why && background) {
		size_t length;
		const char *got = sos_result_background(result, &length);

		why = check_exact("background_output", background, got, length);
	}
	return why;
}
