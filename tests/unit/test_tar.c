/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tar.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "unit.h"

#define LONG "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd/" /* 82 */

/* What tar(1) makes of it. */
static void listing(const struct sos_buffer *tar, char *out, size_t size)
{
	char path[] = "/tmp/sos-test-tar-XXXXXX", command[128];
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, tar->data, tar->length), (ssize_t)tar->length);
	close(fd);
	snprintf(command, sizeof(command), "LC_ALL=C TZ=UTC tar --numeric-owner -tvf %s 2>&1", path);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	out[fread(out, 1, size - 1, pipe)] = 0;
	ck_assert_int_eq(pclose(pipe), 0);
	unlink(path);
}

START_TEST(tar_reads_it)
{
	struct sos_buffer tar = SOS_BUFFER_INIT;
	char bytes[1025], out[4096];
	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(sos_tar_directory(&tar, "bin", 0755), 0);
	ck_assert_int_eq(sos_tar_file(&tar, "bin/init", 0555, bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(sos_tar_file(&tar, "empty", 04755, NULL, 0), 0);
	ck_assert_int_eq(sos_tar_file(&tar, "block", 0, bytes, 512), 0);
	ck_assert_int_eq(sos_tar_file(&tar, LONG LONG "file", 0644, "hi", 2), 0);
	ck_assert_int_eq(sos_tar_end(&tar), 0);
	ck_assert_uint_eq(tar.length % 512, 0);
	listing(&tar, out, sizeof(out));
	ck_assert_str_eq(out, "drwxr-xr-x 0/0               0 1970-01-01 00:00 bin\n"
			      "-r-xr-xr-x 0/0            1025 1970-01-01 00:00 bin/init\n"
			      "-rwsr-xr-x 0/0               0 1970-01-01 00:00 empty\n"
			      "---------- 0/0             512 1970-01-01 00:00 block\n"
			      "-rw-r--r-- 0/0               2 1970-01-01 00:00 " LONG LONG "file\n");
	sos_buffer_free(&tar);
}
END_TEST

START_TEST(refuses)
{
	struct sos_buffer tar = SOS_BUFFER_INIT;
	char name[300];
	memset(name, 'n', sizeof(name));
	name[101] = 0;
	ck_assert_int_eq(sos_tar_file(&tar, name, 0644, "x", 1), -ENAMETOOLONG);
	name[100] = 0;
	ck_assert_int_eq(sos_tar_file(&tar, name, 0644, "x", 1), 0);
	tar.length = 0;
	ck_assert_int_eq(sos_tar_file(&tar, "", 0644, "x", 1), -EINVAL);
	ck_assert_int_eq(sos_tar_file(&tar, "/a", 0644, "x", 1), -EINVAL);
	ck_assert_int_eq(sos_tar_file(&tar, "..", 0644, "x", 1), -EINVAL);
	ck_assert_int_eq(sos_tar_file(&tar, "a/../b", 0644, "x", 1), -EINVAL);
	ck_assert_int_eq(sos_tar_file(&tar, "a/..", 0644, "x", 1), -EINVAL);
	ck_assert_int_eq(sos_tar_file(&tar, "a", 010000, "x", 1), -EINVAL);
	ck_assert_int_eq(sos_tar_file(&tar, "a..b/..c", 0644, "x", 1), 0);
	sos_buffer_free(&tar);
}
END_TEST

UNIT_MAIN("tar", tar_reads_it, refuses)
