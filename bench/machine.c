/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static void add_cpu_model(cJSON *machine)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value[strcspn(value, "\n")] = '\0';
		cJSON_AddStringToObject(machine, "cpu", value + 2);
		break;
	}
	if (f)
		fclose(f);
}

static void copy(cJSON *to, const char *as, const cJSON *from, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(from, name);

	if (value)
		cJSON_AddItemToObject(to, as, cJSON_Duplicate(value, true));
}

cJSON *bench_machine_facts(const cJSON *engine_version, const cJSON *engine_info)
{
	cJSON *machine = cJSON_CreateObject();
	struct utsname name;
	char when[32];
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	cJSON_AddStringToObject(machine, "time", when);
	add_cpu_model(machine);
	cJSON_AddNumberToObject(machine, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN));
	cJSON_AddNumberToObject(machine, "memory_mb",
				(double)sysconf(_SC_PHYS_PAGES) / 1048576 * (double)sysconf(_SC_PAGESIZE));
	if (uname(&name) == 0)
		cJSON_AddStringToObject(machine, "kernel", name.release);
	copy(machine, "engine", engine_version, "Version");
	copy(machine, "engine_api", engine_version, "ApiVersion");
	copy(machine, "storage_driver", engine_info, "Driver");
	copy(machine, "cgroup", engine_info, "CgroupVersion");
	copy(machine, "runtime", engine_info, "DefaultRuntime");
	copy(machine, "system", engine_info, "OperatingSystem");
	return machine;
}

void bench_machine_load(cJSON *machine, const char *when)
{
	double load[3];
	cJSON *item;

	if (getloadavg(load, 3) != 3)
		return;
	item = cJSON_AddObjectToObject(machine, when);
	cJSON_AddNumberToObject(item, "load_1min", load[0]);
	cJSON_AddNumberToObject(item, "load_5min", load[1]);
}
