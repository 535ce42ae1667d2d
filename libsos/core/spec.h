/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a sandbox shall be, checked and copied: the library's own form of
 * struct sos_sandbox_spec. Immutable once made, so it is shared by reference. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

struct sos_spec {
	atomic_uint references;
	char *image, *working_directory, *user, *runtime; /* never NULL once resolved; "" for none but the image */
	char **setup_commands, **environment, **labels;   /* NULL-terminated, never NULL */
	char **environment_names;
	int64_t memory_bytes, cpu_millis, pids_limit;
	int64_t lifetime_ms, idle_timeout_ms;
	uint32_t network, streams, profile, flags;
};

/* A pool's defaults: what `asked` leaves zero stays zero. `asked` may be NULL. */
int sos_spec_defaults(const struct sos_sandbox_spec *asked, struct sos_spec **spec, struct sos_error *error);
/* A sandbox: the rest from `defaults`, then from the library. */
int sos_spec_new(const struct sos_sandbox_spec *asked, const struct sos_spec *defaults, struct sos_spec **spec,
		 struct sos_error *error);
/* One more reference; gives its argument. */
struct sos_spec *sos_spec_ref(struct sos_spec *spec);
/* Give one back; NULL accepted. */
void sos_spec_free(struct sos_spec *spec);

/* Copies a caller's structure of `its_size` bytes into ours of `size`, the rest zero. False: its size is nonsense, or
 * it sets fields that this library does not know. */
bool sos_spec_copy_sized(void *to, size_t size, const void *from, size_t its_size);
