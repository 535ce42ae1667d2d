/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

const char *sos_json_string(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
	return text ? text : "";
}

double sos_json_number(const cJSON *object, const char *name, double missing)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	return cJSON_IsNumber(item) ? item->valuedouble : missing;
}

bool sos_json_true(const cJSON *object, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

void sos_json_delete(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

static int set(cJSON *object, const char *name, cJSON *item)
{
	if (!item)
		return -1;
	cJSON_DeleteItemFromObjectCaseSensitive(object, name);
	if (cJSON_AddItemToObject(object, name, item))
		return 0;
	cJSON_Delete(item);
	return -1;
}

int sos_json_push(cJSON *object, const char *name, const char *text)
{
	cJSON *array = cJSON_GetObjectItemCaseSensitive(object, name);
	if (!array)
		array = cJSON_AddArrayToObject(object, name);
	cJSON *item = array ? cJSON_CreateString(text) : NULL;
	if (!item)
		return -1;
	if (cJSON_AddItemToArray(array, item))
		return 0;
	cJSON_Delete(item);
	return -1;
}

int sos_json_set_string(cJSON *object, const char *name, const char *text)
{
	return set(object, name, cJSON_CreateString(text));
}

int sos_json_set_number(cJSON *object, const char *name, double number)
{
	return set(object, name, cJSON_CreateNumber(number));
}

int sos_json_set_true(cJSON *object, const char *name)
{
	return set(object, name, cJSON_CreateTrue());
}
