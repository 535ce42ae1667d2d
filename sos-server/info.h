/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sandbox as JSON. */

struct sos_sandbox;
struct sos_text;

/* Append an object with everything that is known of it; nothing where it cannot be had (no memory), which marks the
 * text as failed. */
void sos_info_write(struct sos_text *text, struct sos_sandbox *sandbox);
