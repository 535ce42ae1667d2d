/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/image_ref.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool hex(char c)
{
	return digit(c) || (c >= 'a' && c <= 'f');
}

static bool all_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!hex(text[i]))
			return false;
	return true;
}

/* Runs of [a-z0-9], separated by one ".", one or two "_", or any number of "-". */
static bool path_component(const char *p, size_t length)
{
	size_t i = 0;
	for (;;) {
		size_t start = i;
		while (i < length && (lower(p[i]) || digit(p[i])))
			i++;
		if (i == start)
			return false;
		if (i == length)
			return true;
		start = i;
		while (i < length && p[i] == p[start] && (p[i] == '-' || (p[i] == '_' && i - start < 2)))
			i++;
		if (i == start) {
			if (p[i] != '.')
				return false;
			i++;
		}
	}
}

/* Labels of letters, digits and inner hyphens; or an IPv6 address in brackets; then perhaps a port. */
static bool host(const char *p, size_t length)
{
	size_t i = 0;
	if (length && p[0] == '[') {
		for (i = 1; i < length && (hex(p[i]) || (p[i] >= 'A' && p[i] <= 'F') || p[i] == ':'); i++)
			;
		if (i < 3 || i == length || p[i] != ']')
			return false;
		i++;
	} else {
		for (bool start = true; i < length && p[i] != ':'; i++) {
			bool alnum = lower(p[i]) || upper(p[i]) || digit(p[i]);
			bool last = i + 1 == length || p[i + 1] == '.' || p[i + 1] == ':';
			if (!alnum && (start || last || p[i] != '-') && (start || p[i] != '.'))
				return false;
			start = p[i] == '.';
			if (start && last)
				return false;
		}
		if (!i)
			return false;
	}
	if (i == length)
		return true;
	if (p[i++] != ':' || i == length)
		return false;
	for (; i < length; i++)
		if (!digit(p[i]))
			return false;
	return true;
}

/* The first component is a host if it cannot be a path: the Engine's own rule. */
static bool looks_like_host(const char *p, size_t length)
{
	if (length == 9 && memcmp(p, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < length; i++)
		if (p[i] == '.' || p[i] == ':' || upper(p[i]))
			return true;
	return false;
}

static const char *check_name(const char *p, size_t length)
{
	if (!length)
		return "its name is empty";
	if (length > 255)
		return "its name is longer than 255 bytes";
	const char *end = p + length;
	for (bool first = true;; first = false) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash ? slash : end) - p);
		if (first && slash && looks_like_host(p, n)) {
			if (!host(p, n))
				return "its registry host is not valid";
		} else if (!path_component(p, n)) {
			return "its name may have only lower-case letters, digits, and single separators . _ - /";
		}
		if (!slash)
			return NULL;
		p = slash + 1;
	}
}

static const char *check_tag(const char *p, size_t length)
{
	if (!length || length > 128)
		return "its tag must have 1 to 128 characters";
	for (size_t i = 0; i < length; i++)
		if (!lower(p[i]) && !upper(p[i]) && !digit(p[i]) && p[i] != '_' && (!i || (p[i] != '.' && p[i] != '-')))
			return "its tag may have only letters, digits, _ . - and not begin with . or -";
	return NULL;
}

static const char *check_digest(const char *p, size_t length)
{
	const char *colon = memchr(p, ':', length);
	size_t algorithm = colon ? (size_t)(colon - p) : 0, digits = length - algorithm - 1;
	if (!colon || !((algorithm == 6 && memcmp(p, "sha256", 6) == 0 && digits == 64) ||
			(algorithm == 6 && memcmp(p, "sha384", 6) == 0 && digits == 96) ||
			(algorithm == 6 && memcmp(p, "sha512", 6) == 0 && digits == 128)))
		return "its digest is not one of sha256, sha384 or sha512";
	return all_hex(colon + 1, digits) ? NULL : "its digest has characters other than 0-9 and a-f";
}

static bool parse_id(const char *text, struct sos_image_ref *ref)
{
	size_t skip = strncmp(text, "sha256:", 7) == 0 ? 7 : 0;
	if (strlen(text + skip) != 64 || !all_hex(text + skip, 64))
		return false;
	*ref = (struct sos_image_ref){ .is_id = true };
	snprintf(ref->digest, sizeof(ref->digest), "sha256:%s", text + skip);
	return true;
}

int sos_image_ref_parse(const char *text, struct sos_image_ref *ref, const char **why)
{
	if (parse_id(text, ref))
		return 0;
	const char *at = strchr(text, '@');
	size_t length = at ? (size_t)(at - text) : strlen(text), name = length;
	/* A colon behind the last slash parts the tag; one before it is a port's. */
	for (size_t i = length; i > 0 && text[i - 1] != '/'; i--)
		if (text[i - 1] == ':')
			name = i - 1;
	const char *tag = name < length ? text + name + 1 : NULL;
	size_t tag_length = tag ? length - name - 1 : 0;

	*why = check_name(text, name);
	if (!*why && tag)
		*why = check_tag(tag, tag_length);
	if (!*why && at)
		*why = check_digest(at + 1, strlen(at + 1));
	if (*why)
		return -1;
	*ref = (struct sos_image_ref){ .is_id = false };
	memcpy(ref->name, text, name);
	if (tag)
		memcpy(ref->tag, tag, tag_length);
	else if (!at)
		memcpy(ref->tag, "latest", 7);
	if (at)
		memcpy(ref->digest, at + 1, strlen(at + 1));
	return 0;
}

bool sos_image_ref_same(const char *one, const char *other)
{
	struct sos_image_ref a, b;
	const char *why;
	if (!strcmp(one, other))
		return true;
	return !sos_image_ref_parse(one, &a, &why) && !sos_image_ref_parse(other, &b, &why) &&
	       !strcmp(a.name, b.name) && !strcmp(a.tag, b.tag) && !strcmp(a.digest, b.digest);
}
