/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One process owns a pool name on an Engine: an exclusive flock on a file named
 * after both. Where there is no directory for it, an abstract socket's name
 * does the same. */

#include <stdbool.h>

#include <sos/sos.h>

struct sos_owner;

/* 12 hex digits and a NUL that stand for the two. */
void sos_owner_key(const char *engine_id, const char *pool_name, char key[13]);
/* OWNED with the holder's pid; SYSTEM. `directory` may be NULL. `unique`: no other process will ever use that name. */
int sos_owner_new(const char *directory, const char *key, const char *engine_id, const char *pool_name, bool unique,
		  struct sos_owner **owner, struct sos_error *error);
void sos_owner_free(struct sos_owner *owner); /* NULL accepted */

/* A unique name on that Engine whose process is gone without having given it back: `file` is an entry of `directory`.
 * NULL: it is something else. Freeing it makes the name forgotten; sos_owner_leave keeps it for the next who looks. */
struct sos_owner *sos_owner_stale(const char *directory, const char *file, const char *engine_id, char pool_name[65]);
void sos_owner_leave(struct sos_owner *owner);
