/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Image references: [host[:port]/]path[:tag][@digest], as the Engine reads
 * them (github.com/distribution/reference), or an image's id. */

#include <stdbool.h>
#include <stddef.h>

struct sos_image_ref {
	char name[256];   /* with the host, as written: "ubuntu", "localhost:5000/a/b" */
	char tag[129];    /* "latest" where neither tag nor digest was given; "" with a digest alone */
	char digest[160]; /* "sha256:..." or "" */
	bool is_id;       /* 64 hex digits, with or without "sha256:": in `digest` with it, can't be pulled */
};

/* 0, or -1 with `*why` a constant text for an error message; `ref` is then untouched. */
int sos_image_ref_parse(const char *text, struct sos_image_ref *ref, const char **why);
/* The same image by name: "ubuntu" and "ubuntu:latest" are. Text that is no reference is the same as itself. */
bool sos_image_ref_same(const char *one, const char *other);
