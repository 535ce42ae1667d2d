/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sandbox as JSON. */

struct sos_sandbox;
struct sos_sandbox_spec;
struct sos_text;

/* Members of an object: what can't be changed of a container; and an array of texts (NULL: an empty one). */
void sos_info_write_spec(struct sos_text *text, const struct sos_sandbox_spec *spec);
void sos_info_write_list(struct sos_text *text, const char *const *list);

/* Append an object with everything that is known of it; nothing where it cannot be had (no memory), which marks the
 * text as failed. */
void sos_info_write(struct sos_text *text, struct sos_sandbox *sandbox);
