/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the container of a sandbox is, read from the Engine, and whether its
 * limits hold. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "lib/harness.h"
#include "lib/tap.h"

static cJSON *inspect(struct sos_sandbox *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	char path[256], *text;
	cJSON *json;

	if (sos_sandbox_get_info(sandbox, &info, NULL))
		tap_bail("info");
	snprintf(path, sizeof path, "/containers/%s/json", info->container_id);
	sos_sandbox_info_free(info);
	text = harness_get(path);
	json = text ? cJSON_Parse(text) : NULL;
	free(text);
	if (!json)
		tap_bail("the container cannot be inspected");
	return json;
}

/* A member by "A.B". */
static const cJSON *at(const cJSON *json, const char *path)
{
	char part[128];

	while (json && *path) {
		size_t length = strcspn(path, ".");

		snprintf(part, sizeof part, "%.*s", (int)length, path);
		json = cJSON_GetObjectItemCaseSensitive(json, part);
		path += length + (path[length] == '.');
	}
	return json;
}

static long long number(const cJSON *json, const char *path)
{
	const cJSON *item = at(json, path);

	return cJSON_IsNumber(item) ? (long long)item->valuedouble : -12345;
}

static bool holds(const cJSON *json, const char *path, const char *needle)
{
	char *text = cJSON_PrintUnformatted(at(json, path));
	bool found = text && strstr(text, needle);

	cJSON_free(text);
	return found;
}

static void check_mounts(const cJSON *container)
{
	const cJSON *mount;
	int writable = 0;

	cJSON_ArrayForEach(mount, at(container, "Mounts"))
		writable += !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(mount, "RW"));
	tap_equal(writable, 0, "every mount is read-only");
	tap_ok(!holds(container, "Mounts", "docker.sock"), "the Engine's socket is not among them");
}

static void test_defaults(struct sos_pool *pool, const char *pool_name)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);
	cJSON *container = inspect(sandbox);
	char want[128];

	tap_equal(number(container, "HostConfig.Memory"), 2ll << 30, "memory");
	tap_equal(number(container, "HostConfig.MemorySwap"), 2ll << 30, "memory and swap together");
	tap_equal(number(container, "HostConfig.PidsLimit"), 512, "processes");
	tap_equal(number(container, "HostConfig.NanoCpus"), 0, "CPUs without limit");
	tap_ok(cJSON_IsFalse(at(container, "HostConfig.Privileged")), "not privileged");
	tap_ok(cJSON_IsTrue(at(container, "HostConfig.AutoRemove")), "removed when it ends");
	tap_ok(holds(container, "HostConfig.LogConfig", "\"none\""), "no log on the host's disk");
	tap_ok(!holds(container, "HostConfig.PidMode", "host") && !holds(container, "HostConfig.IpcMode", "host") &&
		       !holds(container, "HostConfig.UTSMode", "host") && !holds(container, "HostConfig.NetworkMode", "host"),
	       "no namespace of the host");
	tap_ok(!holds(container, "HostConfig.CapAdd", "SYS_PTRACE") && !holds(container, "HostConfig.CapAdd", "SYS_ADMIN"),
	       "no capability that opens PID 1");
	tap_ok(!holds(container, "HostConfig.SecurityOpt", "unconfined"), "seccomp and AppArmor are the Engine's");
	tap_ok(holds(container, "Config.Healthcheck", "NONE"), "no health check of the image");
	snprintf(want, sizeof want, "\"sos.pool\":\"%s\"", pool_name);
	tap_ok(holds(container, "Config.Labels", want), "its pool is a label");
	snprintf(want, sizeof want, "\"sos.sandbox\":\"%s\"", sos_sandbox_id(sandbox));
	tap_ok(holds(container, "Config.Labels", want), "its id is a label");
	tap_ok(holds(container, "Config.Labels", "\"sos.created\"") && holds(container, "Config.Labels", "\"sos.expires\""),
	       "creation and expiry are labels");
	check_mounts(container);
	cJSON_Delete(container);
	harness_expect(sandbox, "ls /sys/class/net; grep -c 127.0.0.1 /etc/hosts", "lo\n1\n");
	harness_expect(sandbox, "for f in mem environ maps fd/0 root/etc/passwd; do (: < /proc/1/$f) 2>/dev/null && echo $f; done; :", "");
	harness_expect(sandbox, "kill -9 1; kill -TERM 1; kill -STOP 1; echo alive", "alive\n");
	harness_expect(sandbox, "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null; echo $?", "1\n");
	harness_expect(sandbox, "touch /.sos/x 2>/dev/null; echo $?", "1\n");
	harness_stop(sandbox);
}

static void test_limits(struct sos_pool *pool)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_exec_options judge = SOS_EXEC_OPTIONS_INIT;
	const char *verdict[] = { "probe", "exit", "7", NULL };
	const char *secret[] = { "TOKEN=very-secret-value", NULL }, *labels[] = { "team=red", NULL };
	struct sos_sandbox *sandbox;
	struct sos_result *result;
	cJSON *container;

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.memory_bytes = 64 << 20;
	spec.cpu_millis = 1500;
	spec.pids_limit = 40;
	spec.environment = secret;
	spec.labels = labels;
	sandbox = harness_start_spec(pool, &spec);
	container = inspect(sandbox);
	tap_equal(number(container, "HostConfig.Memory"), 64 << 20, "memory asked for");
	tap_equal(number(container, "HostConfig.MemorySwap"), 64 << 20, "with swap");
	tap_equal(number(container, "HostConfig.NanoCpus"), 1500000000, "CPUs asked for");
	tap_equal(number(container, "HostConfig.PidsLimit"), 40, "processes asked for");
	tap_ok(!holds(container, "", "very-secret-value"), "a secret is nowhere in the container's configuration");
	cJSON_Delete(container);
	harness_expect(sandbox, "echo $TOKEN", "very-secret-value\n");

	result = harness_run(sandbox, "probe memory 300; echo $?");
	tap_string(sos_result_output(result, NULL) + strcspn(sos_result_output(result, NULL), "0123456789"), "137\n",
		   "a memory bomb is killed");
	sos_result_unref(result);
	harness_expect(sandbox, "echo alive", "alive\n");
	/* not by bash's own `&`: after a fork that failed, bash waits for its last job as if that were in the foreground */
	harness_expect(sandbox, "probe fork 100 300; echo bombed", "bombed\n");
	harness_expect(sandbox, "echo alive; cd /tmp; pwd", "alive\n/tmp\n"); /* builtins: there is no process to be had */
	judge.argv = verdict;
	judge.flags = SOS_EXEC_STANDALONE | SOS_EXEC_JUDGE;
	result = harness_exec(sandbox, &judge);
	tap_equal(sos_result_exit_code(result), 7, "a fork bomb at its limit is no match for the judge");
	sos_result_unref(result);
	harness_stop(sandbox);
}

/* ---- the pool's bridge ---- */

static void test_bridge(const char *pool_name, struct sos_pool *pool)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *listener, *other;
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;
	char label[160], command[256];
	cJSON *container;
	const cJSON *network;

	snprintf(label, sizeof label, "sos.pool=%s", pool_name);
	spec.image = IMAGE_BUSYBOX;
	spec.network = SOS_NETWORK_BRIDGE;
	listener = harness_start_spec(pool, &spec);
	other = harness_start_spec(pool, &spec);
	tap_equal(harness_networks(label), 1, "the pool has one network of its own");
	container = inspect(listener);
	network = at(container, "NetworkSettings.Networks");
	tap_equal(cJSON_GetArraySize(network), 1, "a sandbox is in one network");
	network = network ? network->child : NULL;
	snprintf(command, sizeof command, "nc -w 3 %s 7000 </dev/null 2>&1; echo $?",
		 network ? cJSON_GetStringValue(at(network, "IPAddress")) : "?");
	harness_expect(listener, "nc -l -p 7000 -e true >/dev/null 2>&1 & :", "");
	options.command = command;
	options.flags = SOS_EXEC_STANDALONE;
	result = harness_exec(other, &options);
	tap_ok(strcmp(sos_result_output(result, NULL), "0\n"), "sandboxes do not reach each other: %s",
	       sos_result_output(result, NULL));
	sos_result_unref(result);
	result = harness_exec(listener, &options);
	tap_string(sos_result_output(result, NULL), "0\n", "the listener did listen");
	sos_result_unref(result);
	cJSON_Delete(container);

	options.command = "nc -w 3 169.254.169.254 80 </dev/null 2>&1; echo $?";
	result = harness_exec(other, &options);
	tap_ok(strstr(sos_result_output(result, NULL), "nreachable") || strstr(sos_result_output(result, NULL), "o route"),
	       "link-local addresses are unreachable: %s", sos_result_output(result, NULL));
	tap_ok(sos_result_duration_ns(result) < 2500000000, "at once");
	sos_result_unref(result);
	harness_expect(other, "ip route del unreachable 169.254.0.0/16 2>/dev/null && echo opened; ip link set eth0 down "
			      "2>/dev/null && echo changed; :", "");
	harness_stop(listener);
	harness_stop(other);
}

int main(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	char label[160];
	struct sos_pool *pool;

	options.name = harness_name();
	options.capacity = 2;
	pool = harness_pool_with(&options);
	snprintf(label, sizeof label, "sos.pool=%s", options.name);
	test_defaults(pool, options.name);
	test_limits(pool);
	tap_equal(harness_networks(label), 0, "no network is made before one is needed");
	test_bridge(options.name, pool);
	sos_pool_free(pool);
	tap_equal(harness_networks(label), 0, "the network goes with the pool");
	return tap_done();
}
