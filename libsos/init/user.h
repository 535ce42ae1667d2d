/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who a child is to be, by the image's passwd and group files. Both are the
 * image's: hostile, read with bounds, never believed beyond numbers and names.
 * The rules are those of `docker run --user`. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOS_USER_GROUPS_MAX 256u
#define SOS_USER_FIELD_MAX 256u

struct sos_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[SOS_USER_GROUPS_MAX];
	unsigned group_count;
	bool known;                     /* passwd has it */
	char name[SOS_USER_FIELD_MAX];  /* or the number */
	char home[SOS_USER_FIELD_MAX];  /* "/" if unknown */
	char shell[SOS_USER_FIELD_MAX]; /* "" if unknown */
};

/* "", name, uid, name:group, uid:gid. NULL, or what is wrong (a text for people). `user` is filled only on success. */
const char *sos_user_find(const char *passwd_path, const char *group_path, const char *wanted, size_t length,
			  struct sos_user *user);
