/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/image_ref.h"

#include <stdio.h>

#include "unit.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void takes(const char *text, const char *name, const char *tag, const char *digest)
{
	struct sos_image_ref ref;
	const char *why = NULL;
	if (sos_image_ref_parse(text, &ref, &why) < 0)
		ck_abort_msg("%s: %s", text, why);
	ck_assert(!ref.is_id);
	ck_assert_str_eq(ref.name, name);
	ck_assert_str_eq(ref.tag, tag);
	ck_assert_str_eq(ref.digest, digest);
}

static void refuses(const char *text)
{
	struct sos_image_ref ref;
	const char *why = NULL;
	memset(&ref, 7, sizeof(ref));
	if (sos_image_ref_parse(text, &ref, &why) == 0)
		ck_abort_msg("taken: %s", text);
	ck_assert_ptr_nonnull(why);
	ck_assert_int_eq(ref.name[0], 7);
}

START_TEST(names_tags_digests)
{
	takes("ubuntu", "ubuntu", "latest", "");
	takes("ubuntu:22.04", "ubuntu", "22.04", "");
	takes("library/ubuntu:_x-Y.1", "library/ubuntu", "_x-Y.1", "");
	takes("localhost/x", "localhost/x", "latest", "");
	takes("localhost:5000/a/b:c", "localhost:5000/a/b", "c", "");
	takes("127.0.0.1:5000/a", "127.0.0.1:5000/a", "latest", "");
	takes("Registry.Example.org/a", "Registry.Example.org/a", "latest", "");
	takes("[::1]:5000/a:b", "[::1]:5000/a", "b", "");
	takes("[fe80::1]/a", "[fe80::1]/a", "latest", "");
	takes("a.b-c.d/e", "a.b-c.d/e", "latest", "");
	takes("a-b/c", "a-b/c", "latest", "");
	takes("a--b_c__d.e", "a--b_c__d.e", "latest", "");
	takes("x@sha256:" HEX, "x", "", "sha256:" HEX);
	takes("x:t@sha256:" HEX, "x", "t", "sha256:" HEX);
	takes("x@sha512:" HEX HEX, "x", "", "sha512:" HEX HEX);
	takes("sha256:abc", "sha256", "abc", "");
}
END_TEST

START_TEST(ids)
{
	struct sos_image_ref ref;
	const char *why = NULL;
	ck_assert_int_eq(sos_image_ref_parse(HEX, &ref, &why), 0);
	ck_assert(ref.is_id);
	ck_assert_str_eq(ref.digest, "sha256:" HEX);
	ck_assert_int_eq(sos_image_ref_parse("sha256:" HEX, &ref, &why), 0);
	ck_assert(ref.is_id);
	ck_assert_str_eq(ref.digest, "sha256:" HEX);
}
END_TEST

START_TEST(what_is_no_reference)
{
	static const char *const bad[] = {
		"",
		":",
		"@",
		"/",
		"a/",
		"/a",
		"a//b",
		"Ubuntu",
		"a b",
		"a\n",
		"a:",
		"a:b:c",
		"a:-x",
		"a:.x",
		"a:x/y",
		"a@",
		"a@sha256:",
		"a@md5:" HEX,
		"a@sha256:" HEX "0",
		"a@sha256:0",
		"a@sha256:x",
		"-a",
		"a-",
		"a..b",
		"a___b",
		"a._b",
		"a.",
		".a",
		"_a",
		"a:80/",
		"a:/b",
		"a:x/b",
		"-a.b/c",
		"a-.b/c",
		"a.-b/c",
		"a..b/c",
		".b/c",
		"a./c",
		"a.:5/c",
		"[::1/a",
		"[]/a",
		"[::1]x/a",
		"[::1]:/a",
		"[x]/a",
		"../../etc",
		"a?b",
		"a%2fb",
		"\xc3\xa4",
		"a/B",
		"A/b/C",
		"a&tag=b",
		"a#b",
		"http://a/b",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuses(bad[i]);
}
END_TEST

START_TEST(lengths)
{
	char text[600], name[300];
	struct sos_image_ref ref;
	const char *why;
	memset(name, 'n', sizeof(name));
	snprintf(text, sizeof(text), "%.255s", name);
	ck_assert_int_eq(sos_image_ref_parse(text, &ref, &why), 0);
	ck_assert_uint_eq(strlen(ref.name), 255);
	snprintf(text, sizeof(text), "%.256s", name);
	refuses(text);
	snprintf(text, sizeof(text), "a:%.128s", name);
	ck_assert_int_eq(sos_image_ref_parse(text, &ref, &why), 0);
	ck_assert_uint_eq(strlen(ref.tag), 128);
	snprintf(text, sizeof(text), "a:%.129s", name);
	refuses(text);
}
END_TEST

UNIT_MAIN("image_ref", names_tags_digests, ids, what_is_no_reference, lengths)
