/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The passwd and group files of an image, which may be anything. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/text.h"
#include "init/user.h"
#include "lib/tap.h"

static char directory[] = "/tmp/sos-user-test.XXXXXX";
static char passwd_path[64], group_path[64];

static void write_file(const char *path, const char *text, size_t length)
{
	unlink(path);
	FILE *f = fopen(path, "we");
	if (!f || fwrite(text, 1, length, f) != length || fclose(f) != 0)
		tap_bail("write %s", path);
}

static void files(const char *passwd, const char *group)
{
	write_file(passwd_path, passwd, strlen(passwd));
	write_file(group_path, group, strlen(group));
}

/* "uid:gid[groups]name home shell", or the complaint. */
static const char *find(const char *wanted)
{
	static char text[2048];
	struct sos_user u;
	const char *why = sos_user_find(passwd_path, group_path, wanted, strlen(wanted), &u);
	if (why)
		return why;
	int n = snprintf(text, sizeof text, "%u:%u[", u.uid, u.gid);
	for (unsigned i = 0; i < u.group_count && n < 1500; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, i ? ",%u" : "%u", u.groups[i]);
	snprintf(text + n, sizeof text - (size_t)n, "]%s %s %s", u.name, u.home, u.shell);
	return text;
}

#define NO_USER "no such user in the image's /etc/passwd"
#define NO_GROUP "no such group in the image's /etc/group"

static void test_rules(void)
{
	files("root:x:0:0:root:/root:/bin/bash\nweb:x:33:33::/var/www:/bin/sh\n7:x:70:71::/seven:\nweb:x:99:99::/"
	      "second:/x\n",
	      "root:x:0:\nweb:x:33:\nadm:x:4:root,web\nlog:x:5:webber,web\nlog:x:6:web\n8:x:80:\n");
	static const struct {
		const char *wanted, *got;
	} cases[] = {
		{"", "0:0[4]root /root /bin/bash"},
		{"root", "0:0[4]root /root /bin/bash"},
		{"0", "0:0[4]root /root /bin/bash"},
		{"web", "33:33[4,5,6]web /var/www /bin/sh"},
		{"33", "33:33[4,5,6]web /var/www /bin/sh"},
		{"web:adm", "33:4[]web /var/www /bin/sh"},
		{"web:5", "33:5[]web /var/www /bin/sh"},
		{"web:4321", "33:4321[]web /var/www /bin/sh"},
		{"1234", "1234:0[]1234 / "},
		{"1234:1235", "1234:1235[]1234 / "},
		{"7", "70:71[]7 /seven "},
		{"1:8", "1:80[]1 / "},
		{":adm", "0:4[]root /root /bin/bash"},
		{"web:", "33:33[4,5,6]web /var/www /bin/sh"},
		{"nobody", NO_USER},
		{"web:nogroup", NO_GROUP},
		{"-1", NO_USER},
		{"+5", NO_USER},
		{"99999999999", NO_USER},
		{"2147483648", NO_USER},
		{"0:2147483648", NO_GROUP},
		{"2147483647", "2147483647:0[]2147483647 / "},
		{"we", NO_USER},
		{"web ", NO_USER},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
		tap_string(find(cases[i].wanted), cases[i].got, "\"%s\"", cases[i].wanted);
}

static void test_broken_files(void)
{
	files("\n\n:::\nshort:x\n:x:5:5::/:\nneg:x:-1:0::/:\nbig:x:4294967296:0::/:\nplus:x:+1:0::/:\nfloat:x:1.5:0::/"
	      ":\n"
	      "gidless:x:7::::\nlast:x:8:9::/h:/s",
	      "x\n:x:1:\nmany:x:10:,,last,,\nempty:x:11:\nsame:x:12:lastly,las,last");
	tap_string(find("last"), "8:9[10,12]last /h /s", "a line without its end, among junk");
	const char *bad[] = {"short", "neg", "big", "plus", "float", "gidless"};
	for (unsigned i = 0; i < 6; i++)
		tap_string(find(bad[i]), NO_USER, "a broken line: %s", bad[i]);
	unlink(passwd_path);
	unlink(group_path);
	tap_string(find(""), "0:0[]root /root ", "no files: root");
	tap_string(find("12:13"), "12:13[]12 / ", "no files: numbers");
	tap_string(find("name"), NO_USER, "no files: no names");
}

static void test_hostile_files(void)
{
	static char text[1 << 20];
	size_t n = 0;
	memset(text, 'x', 200000);
	n = 200000;
	n += (size_t)sprintf(text + n, ":x:1:1::/:\nafter:x:5:5::/home/after:/s\n");
	write_file(passwd_path, text, n);
	write_file(group_path, "", 0);
	tap_string(find("after"), "5:5[]after /home/after /s", "a line of 200,000 bytes is passed over");

	n = (size_t)sprintf(text, "far:x:6:6::/");
	memset(text + n, 'd', 300);
	n += 300;
	n += (size_t)sprintf(text + n, ":/s\n");
	write_file(passwd_path, text, n);
	tap_string(find("far"), "6:6[]far / /s", "a home that is too long is none");

	memcpy(text, "nul:x:7:7::/a\0b:/s\nok:x:8:8::/:/\n", 34);
	write_file(passwd_path, text, 33);
	tap_string(find("nul"), "7:7[]nul / /s", "a NUL in a field");
	tap_string(find("ok"), "8:8[]ok / /", "and the next line");

	write_file(passwd_path, "u:x:9:9::/:/\n", 13);
	n = 0;
	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(text + n, "g%d:x:%d:u\n", i, i);
	write_file(group_path, text, n);
	struct sos_user user;
	tap_ok(sos_user_find(passwd_path, group_path, "u", 1, &user) == NULL && user.group_count == SOS_USER_GROUPS_MAX,
	       "a thousand groups: as many as there is room for");

	unlink(passwd_path);
	if (mkfifo(passwd_path, 0644) < 0)
		tap_bail("mkfifo");
	tap_string(find("u"), NO_USER, "a FIFO does not hold us up");
	unlink(passwd_path);
	if (symlink("/dev/zero", passwd_path) < 0)
		tap_bail("symlink");
	tap_string(find("u"), NO_USER, "nor does /dev/zero");
	unlink(passwd_path);
	if (mkdir(passwd_path, 0755) < 0)
		tap_bail("mkdir");
	tap_string(find("5"), "5:0[]5 / ", "nor a directory");
	rmdir(passwd_path);

	FILE *f = fopen(passwd_path, "we");
	for (int i = 0; f && i < 400000; i++)
		fputs("filler:x:1000:1000::/nowhere:/bin/true\n", f);
	if (!f || fputs("end:x:3:3::/:/\n", f) < 0 || fclose(f) != 0)
		tap_bail("a large file");
	tap_string(find("end"), NO_USER, "a file of 15 MB is read in part");
	unlink(passwd_path);
	unlink(group_path);
}

static void test_junk(void)
{
	unsigned seed = 1;
	int found = 0;
	for (int round = 0; round < 3000; round++) {
		char text[2][400];
		for (int k = 0; k < 2; k++)
			for (size_t i = 0; i < sizeof text[k]; i++) {
				seed = seed * 1103515245u + 12345u;
				text[k][i] = "ab:01\n,\0\xff:"[(seed >> 16) % 10];
			}
		write_file(passwd_path, text[0], sizeof text[0]);
		write_file(group_path, text[1], sizeof text[1]);
		struct sos_user user;
		found += sos_user_find(passwd_path, group_path, "a:b", 1 + 2 * (size_t)(round % 2), &user) == NULL;
	}
	tap_ok(found < 3000, "3,000 files of junk (%d matched)", found);
	unlink(passwd_path);
	unlink(group_path);
}

static void test_text(void)
{
	struct sos_text text;
	uint64_t value = 5;
	sos_text_clear(&text);
	sos_text_number(&text, 0);
	sos_text_string(&text, " ");
	sos_text_number(&text, UINT64_MAX);
	tap_string(text.data, "0 18446744073709551615", "numbers");
	for (int i = 0; i < 100; i++)
		sos_text_string(&text, "0123456789");
	tap_ok(text.length == sizeof text.data - 1 && strlen(text.data) == text.length, "what does not fit is cut");
	tap_ok(sos_text_parse("18446744073709551615", 20, UINT64_MAX, &value) == 0 && value == UINT64_MAX,
	       "the largest");
	tap_ok(sos_text_parse("18446744073709551616", 20, UINT64_MAX, &value) < 0, "one more");
	tap_ok(sos_text_parse("256", 3, 255, &value) < 0 && sos_text_parse("255", 3, 255, &value) == 0, "a limit");
	tap_ok(sos_text_parse("", 0, 255, &value) < 0 && sos_text_parse("1a", 2, 255, &value) < 0, "no numbers");
}

int main(void)
{
	if (!mkdtemp(directory))
		tap_bail("a directory in /tmp");
	snprintf(passwd_path, sizeof passwd_path, "%s/passwd", directory);
	snprintf(group_path, sizeof group_path, "%s/group", directory);
	test_rules();
	test_broken_files();
	test_hostile_files();
	test_junk();
	test_text();
	rmdir(directory);
	return tap_done();
}
