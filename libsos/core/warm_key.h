/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which container of the warm stock can become which sandbox. What can't be
 * changed once it runs must be equal; the rest is made so at hand-over. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/spec.h"

/* Variables that the shell takes over while it runs, as it would have from its environment: quoted, in one line. */
#define SOS_WARM_EXPORTS_MOST 2048u

enum sos_warm_way {
	SOS_WARM_NO = 0,
	SOS_WARM_NEW_SHELL, /* its environment can't be given to a shell that runs: it gets another one */
	SOS_WARM_AS_IT_IS
};

struct sos_warm_fit {
	enum sos_warm_way way;
	size_t setup_done; /* commands of the sandbox's setup that have run in it already */
};

/* All that is fixed when a container is made: image, limits, user, directory, network, streams, profile. */
bool sos_warm_key_equal(const struct sos_spec *one, const struct sos_spec *other);
/* Of what sos_warm_key_equal compares, the image as it is written. */
uint64_t sos_warm_key_hash(const struct sos_spec *spec);
/* Of a container that was made by `made`, for a sandbox that wants `wanted`. */
struct sos_warm_fit sos_warm_fit(const struct sos_spec *made, const struct sos_spec *wanted);
/* The variable is new or has another value than in `made`. */
bool sos_warm_adds(const struct sos_spec *made, const struct sos_spec *wanted, size_t index);
