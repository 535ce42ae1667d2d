/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"
#include "client.h"

#include <string.h>

#define WHOLE_LENGTH 36
#define SHORTEST 4
#define LIST_TIMEOUT_MS 60000

int sos_target_find(struct sos_cli *cli, const char *given, char **id)
{
	size_t length = strlen(given);
	if (!length)
		return sos_fail(cli, SOS_EXIT_USAGE,
				"the sandbox's id is empty: is the variable that should hold it set?");
	const char *found = given;
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	if (length < WHOLE_LENGTH) {
		if (length < SHORTEST)
			return sos_fail(cli, SOS_EXIT_USAGE, "'%s' is too short: give at least %d characters of the id",
					given, SHORTEST);
		struct sos_request request = { .method = "GET", .path = "/sandboxes", .timeout_ms = LIST_TIMEOUT_MS };
		int result = sos_client_send(cli, &request, &response);
		if (result)
			return result;
		found = NULL;
		const cJSON *sandbox;
		cJSON_ArrayForEach (sandbox, response.json) {
			const char *candidate = sos_json_string(sandbox, "id");
			if (strncmp(candidate, given, length))
				continue;
			if (found)
				return sos_fail(cli, SOS_EXIT_FAILED,
						"'%s' begins several ids, %s and %s: give more of it", given, found,
						candidate);
			found = candidate;
		}
		if (!found)
			return sos_fail(cli, SOS_EXIT_FAILED,
					"no sandbox has an id that begins with '%s': see sos sandbox list", given);
	}
	*id = strdup(found);
	return *id ? 0 : sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
}
