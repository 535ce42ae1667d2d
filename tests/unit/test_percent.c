/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/percent.h"

#include "unit.h"

static void expect(const char *text, const char *keep, const char *want)
{
	struct sos_buffer out = SOS_BUFFER_INIT;
	ck_assert_int_eq(sos_buffer_append_string(&out, "x"), 0);
	ck_assert_int_eq(sos_percent_append(&out, text, keep), 0);
	ck_assert_str_eq(out.data + 1, want);
	sos_buffer_free(&out);
}

START_TEST(encodes)
{
	expect("", NULL, "");
	expect("azAZ09-._~", NULL, "azAZ09-._~");
	expect("a/b:c@d", NULL, "a%2Fb%3Ac%40d");
	expect("a/b:c@d", "/:@", "a/b:c@d");
	expect("?#% +&=\r\n\"{}", "/:@", "%3F%23%25%20%2B%26%3D%0D%0A%22%7B%7D");
	expect("\x01\x7f\xc3\xa4", NULL, "%01%7F%C3%A4");
}
END_TEST

UNIT_MAIN("percent", encodes)
