/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Engine and its containers: what each call sends, and what it makes of good and bad answers. */
#include "engine_fixture.h"

#define VERSION(api, oldest)                                                                                           \
	WHOLE("200 OK",                                                                                                \
	      "{\"Version\":\"9.9\",\"ApiVersion\":\"" api "\",\"MinAPIVersion\":\"" oldest "\",\"Arch\":\"amd64\"}"), \
		.request = "GET /version "
#define INFO(version)                                                                                                  \
	.request = "GET /v" version "/info ",                                                                          \
	WHOLE("200 OK", "{\"ID\":\"X:Y\",\"CgroupVersion\":\"2\",\"PidsLimit\":true,\"MemoryLimit\":true,"             \
			"\"Runtimes\":{\"runsc\":{}},\"Warnings\":[\"w1\",\"w2\"]}")

START_TEST(negotiation)
{
	struct sos_engine_facts facts;
	begin();
	SCRIPT(fake, { VERSION("1.51", "1.24") }, { INFO("1.47") }, { VERSION("1.41", "1.12") }, { INFO("1.41") },
	       { EMPTY("204 No Content"), .request = "POST /v1.41/containers/x/start " });
	ck_assert_int_eq(sos_engine_connect(engine, &call, &facts, &error), 0);
	ck_assert_str_eq(facts.api_version, "1.47");
	ck_assert_str_eq(facts.id, "X:Y");
	ck_assert_str_eq(facts.version, "9.9");
	ck_assert_str_eq(facts.architecture, "amd64");
	ck_assert_str_eq(facts.cgroup_version, "2");
	ck_assert_str_eq(facts.warnings, "w1; w2");
	ck_assert(facts.has_pids_limit && facts.has_memory_limit && !facts.has_swap_limit && !facts.has_cpu_quota);
	ck_assert(facts.has_runtime_runsc);
	ck_assert_int_eq(sos_engine_connect(engine, &call, &facts, &error), 0); /* a downgrade is followed */
	ck_assert_str_eq(facts.api_version, "1.41");
	ck_assert_int_eq(sos_engine_container_start(engine, "x", &call, &error), 0);
	end();
}
END_TEST

START_TEST(negotiation_fails)
{
	static const struct sos_engine_facts untouched = { .id = "untouched" };
	struct sos_engine_facts facts = untouched;
	begin();
	SCRIPT(fake, { VERSION("1.39", "1.12") }, { VERSION("1.60", "1.48") }, { VERSION("2.0", "1.0") },
	       { VERSION("x", "") }, { WHOLE("200 OK", "[]") }, { WHOLE("200 OK", "<html>") },
	       { WHOLE("404 Not Found", "page not found\n") });
	for (int i = 0; i < 7; i++) {
		error.code = 0;
		ck_assert_int_eq(sos_engine_connect(engine, &call, &facts, &error), SOS_ERROR_ENGINE);
		ck_assert_int_eq(error.code, SOS_ERROR_ENGINE);
		ck_assert_ptr_nonnull(strstr(error.message, fake_engine_address(fake)));
		ck_assert_ptr_nonnull(strstr(error.message, i == 0   ? "is too old"
							    : i == 1 ? "use a newer library"
								     : "version"));
	}
	ck_assert_ptr_nonnull(strstr(error.message, "page not found (404)"));
	ck_assert_mem_eq(&facts, &untouched, sizeof(facts));
	end();
}
END_TEST

START_TEST(without_negotiation)
{
	begin();
	SCRIPT(fake, { EMPTY("204 No Content"), .request = "POST /containers/x/start " },
	       { EMPTY("200 OK\r\nContent-Length: 0"), .request = "GET /_ping " });
	ck_assert_int_eq(sos_engine_container_start(engine, "x", &call, &error), 0);
	ck_assert_int_eq(sos_engine_ping(engine, &call, &error), 0);
	ck_assert_str_eq(sos_engine_address(engine), fake_engine_address(fake));
	ck_assert(sos_engine_is_local(engine));
	end();
}
END_TEST

START_TEST(one_connection_for_many)
{
	static struct fake_reply replies[50];
	begin();
	for (int i = 0; i < 50; i++)
		replies[i] = (struct fake_reply){ EMPTY("204 No Content"), .close = i == 24 };
	fake_engine_script(fake, replies, 50);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(sos_engine_container_start(engine, "x", &call, &error), 0);
	ck_assert_uint_eq(fake_engine_connections(fake), 2); /* the one that was closed was noticed */
	end();
}
END_TEST

#define CREATED WHOLE("201 Created", "{\"Id\":\"0123456789abcdef\",\"Warnings\":[]}")

START_TEST(create_sends)
{
	static const char *const entrypoint[] = { "/sos/init", "a\"b", NULL }, *const drop[] = { "ALL", NULL },
				 *const add[] = { "KILL", NULL };
	static const char *const environment[] = { "A=b", NULL };
	static const struct sos_engine_pair labels[] = { { "l", "v" }, { NULL, NULL } };
	const struct sos_engine_container_spec spec = {
		.name = "sos-x",
		.image = "i:t",
		.entrypoint = entrypoint,
		.environment = environment,
		.labels = labels,
		.user = "0:0",
		.runtime = "runsc",
		.volume = "vol",
		.volume_target = "/sos",
		.bind_source = "/run/s",
		.bind_target = "/sos-s",
		.network = NULL,
		.cap_add = add,
		.cap_drop = drop,
		.memory_bytes = 6291456,
		.nano_cpus = 500000000,
		.pids_limit = 8,
		.no_new_privileges = true,
		.auto_remove = true,
		.open_stdin = true,
	};
	char *id = NULL;
	begin();
	SCRIPT(fake, { CREATED, .request = "POST /containers/create?name=sos-x " });
	ck_assert_int_eq(sos_engine_container_create(engine, &spec, &call, &id, &error), 0);
	ck_assert_str_eq(id, "0123456789abcdef");
	free(id);
	const char *text = request(0);
	ck_assert_ptr_nonnull(strstr(text, "Content-Type: application/json\r\n"));
	ck_assert_ptr_null(strstr(text, "Expect:"));
	ck_assert_str_eq(
		strstr(text, "\r\n\r\n") + 4,
		"{\"Image\":\"i:t\",\"Entrypoint\":[\"/sos/"
		"init\",\"a\\\"b\"],\"Cmd\":[],\"Env\":[\"A=b\"],\"User\":\"0:0\","
		"\"Tty\":false,\"OpenStdin\":true,\"StdinOnce\":false,\"AttachStdin\":true,\"AttachStdout\":true,"
		"\"AttachStderr\":true,\"NetworkDisabled\":true,\"Healthcheck\":{\"Test\":[\"NONE\"]},\"Labels\":{"
		"\"l\":\"v\"},"
		"\"HostConfig\":{\"AutoRemove\":true,\"Init\":false,\"Privileged\":false,\"NetworkMode\":\"none\","
		"\"RestartPolicy\":{\"Name\":\"no\"},\"LogConfig\":{\"Type\":\"none\"},\"Runtime\":\"runsc\","
		"\"CapAdd\":[\"KILL\"],"
		"\"CapDrop\":[\"ALL\"],\"SecurityOpt\":[\"no-new-privileges\"],\"Mounts\":[{\"Type\":\"volume\","
		"\"Source\":\"vol\","
		"\"Target\":\"/"
		"sos\",\"ReadOnly\":true,\"VolumeOptions\":{\"NoCopy\":true}},{\"Type\":\"bind\",\"Source\":\"/run/s\","
		"\"Target\":\"/"
		"sos-s\",\"ReadOnly\":true,\"BindOptions\":{\"Propagation\":\"rprivate\"}}],\"Memory\":6291456,"
		"\"MemorySwap\":6291456,\"NanoCpus\":500000000,\"PidsLimit\":8}}");
	end();
}
END_TEST

START_TEST(create_sends_little)
{
	static const char *const entrypoint[] = { "/i", NULL };
	const struct sos_engine_container_spec spec = { .name = "n",
							.image = "i",
							.entrypoint = entrypoint,
							.network = "net",
							.volume = "v",
							.volume_target = "/v",
							.volume_writable = true };
	char *id = NULL;
	begin();
	SCRIPT(fake, { CREATED });
	ck_assert_int_eq(sos_engine_container_create(engine, &spec, &call, &id, &error), 0);
	free(id);
	const char *text = request(0);
	ck_assert_ptr_nonnull(strstr(text, "\"NetworkMode\":\"net\""));
	ck_assert_ptr_nonnull(strstr(text, "\"Target\":\"/v\",\"ReadOnly\":false"));
	static const char *const absent[] = { "NetworkDisabled", "Memory",  "PidsLimit",   "NanoCpus", "\"Env\"",
					      "\"User\"",        "Runtime", "SecurityOpt", "bind" };
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (strstr(text, absent[i]))
			ck_abort_msg("%s is there", absent[i]);
	end();
}
END_TEST

START_TEST(create_fails)
{
	static const char *const entrypoint[] = { "/i", NULL };
	struct sos_engine_container_spec spec = {
		.name = "n", .image = "u:nope", .entrypoint = entrypoint, .bind_source = "/x", .bind_target = "/y"
	};
	char *id = NULL;
	begin();
	SCRIPT(fake, { WHOLE("404 Not Found", "{\"message\":\"No such image: u:nope\"}") },
	       { WHOLE("409 Conflict", "{\"message\":\"Conflict. The container name \\\"/n\\\" is already in use\"}") },
	       { WHOLE("400 Bad Request", "{\"message\":\"invalid mount config for type \\\"bind\\\": bind source path "
					  "does not exist: /x\"}") },
	       { WHOLE("500 Internal Server Error", "{\"message\":\"line 1\\nline 2\"}") },
	       { WHOLE("400 Bad Request", "{\"message\":\"\"}") },
	       { WHOLE("500 Internal Server Error", "plain \xff text\n") }, { WHOLE("201 Created", "{\"Id\":7}") },
	       { WHOLE("201 Created", "{") });
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_IMAGE,
	       "image \"u:nope\": not found: No such image: u:nope (404)");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_OWNED,
	       "create container \"n\": its name is taken: Conflict. The container name \"/n\" is already in use "
	       "(409)");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_UNSUPPORTED,
	       "create container \"n\": the Engine does not share our file system: invalid mount config for type "
	       "\"bind\": bind "
	       "source path does not exist: /x (400)");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_ENGINE,
	       "create container \"n\": line 1 line 2 (500)");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_ENGINE,
	       "create container \"n\": the Engine did not say why (400)");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_ENGINE,
	       "create container \"n\": plain \xef\xbf\xbd text (500)");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_ENGINE,
	       "create container \"n\": the Engine's answer has no id");
	failed(sos_engine_container_create(engine, &spec, &call, &id, &error), SOS_ERROR_ENGINE,
	       "create container \"n\": the Engine's answer has no id");
	ck_assert_ptr_null(id);
	end();
}
END_TEST

START_TEST(remove_takes_gone_as_done)
{
	begin();
	SCRIPT(fake, { EMPTY("204 No Content"), .request = "DELETE /containers/a%3Fb?force=1&v=1 " },
	       { WHOLE("404 Not Found", "{\"message\":\"No such container: x\"}") },
	       { WHOLE("409 Conflict", "{\"message\":\"removal of container x is already in progress\"}") },
	       { WHOLE("200 OK", "{\"StatusCode\":0}"), .request = "POST /containers/x/wait?condition=removed " },
	       { WHOLE("409 Conflict", "{\"message\":\"removal of container x is already in progress\"}") },
	       { WHOLE("404 Not Found", "{\"message\":\"No such container: x\"}") });
	ck_assert_int_eq(sos_engine_container_remove(engine, "a?b", &call, &error), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sos_engine_container_remove(engine, "x", &call, &error), 0);
	end();
}
END_TEST

START_TEST(remove_fails)
{
	begin();
	SCRIPT(fake, { WHOLE("500 Internal Server Error", "{\"message\":\"device or resource busy\"}") },
	       { WHOLE("409 Conflict", "{\"message\":\"You cannot remove a paused container\"}") },
	       { WHOLE("409 Conflict", "{\"message\":\"removal of container x is already in progress\"}") },
	       { WHOLE("200 OK", "{\"StatusCode\":0,\"Error\":{\"Message\":\"driver failed\"}}") });
	failed(sos_engine_container_remove(engine, "x", &call, &error), SOS_ERROR_ENGINE,
	       "remove container \"x\": device or resource busy (500)");
	failed(sos_engine_container_remove(engine, "x", &call, &error), SOS_ERROR_ENGINE,
	       "remove container \"x\": You cannot remove a paused container (409)");
	failed(sos_engine_container_remove(engine, "x", &call, &error), SOS_ERROR_ENGINE,
	       "remove container \"x\": driver failed");
	end();
}
END_TEST

START_TEST(start_fails)
{
	begin();
	SCRIPT(fake, { EMPTY("304 Not Modified") },
	       { WHOLE("404 Not Found", "{\"message\":\"No such container: x\"}") },
	       { WHOLE("404 Not Found", "{\"message\":\"network n not found\"}") },
	       { WHOLE("500 Internal Server Error", "{\"message\":\"Mounts denied: /x is not shared\"}") });
	ck_assert_int_eq(sos_engine_container_start(engine, "x", &call, &error), 0);
	failed(sos_engine_container_start(engine, "x", &call, &error), SOS_ERROR_NOT_FOUND,
	       "start container \"x\": not found: No such container: x (404)");
	failed(sos_engine_container_start(engine, "x", &call, &error), SOS_ERROR_ENGINE,
	       "start container \"x\": network n not found (404)");
	failed(sos_engine_container_start(engine, "x", &call, &error), SOS_ERROR_UNSUPPORTED,
	       "start container \"x\": the Engine does not share our file system: Mounts denied: /x is not shared "
	       "(500)");
	end();
}
END_TEST

START_TEST(inspect_and_list)
{
	static const char *const labels[] = { "sos.pool=a&b", "x", NULL };
	struct sos_engine_container c = { 0 }, *list = NULL;
	size_t count = 7;
	begin();
	SCRIPT(fake,
	       { WHOLE("200 OK", "{\"Id\":\"abc\",\"Name\":\"/"
				 "n\",\"State\":{\"Status\":\"running\",\"Running\":true,\"Pid\":42,\"ExitCode\":137,"
				 "\"OOMKilled\":true,\"Error\":\"e\"}}"),
		 .request = "GET /containers/abc/json " },
	       { WHOLE("200 OK", "{\"Id\":\"abc\",\"State\":{\"Pid\":-5}}") }, { WHOLE("200 OK", "{\"Id\":\"abc\"}") },
	       { WHOLE("200 OK", "[{\"Id\":\"a\",\"Names\":[\"/n\",\"/"
				 "m\"],\"State\":\"exited\",\"Labels\":{\"k\":\"v\",\"e\":\"\"}},{\"Id\":\"b\","
				 "\"State\":\"running\",\"Labels\":null},7]"),
		 .request =
			 "GET "
			 "/containers/json?all=1&filters=%7B%22label%22:%5B%22sos.pool%3Da%26b%22%2C%22x%22%5D%7D " },
	       { WHOLE("200 OK", "[]") }, { WHOLE("200 OK", "{}") });
	ck_assert_int_eq(sos_engine_container_inspect(engine, "abc", &call, &c, &error), 0);
	ck_assert_str_eq(c.name, "n");
	ck_assert_str_eq(c.state, "running");
	ck_assert_str_eq(c.error, "e");
	ck_assert_int_eq(c.pid, 42);
	ck_assert_int_eq(c.exit_code, 137);
	ck_assert(c.running && c.oom_killed);
	sos_engine_container_clear(&c);
	ck_assert_int_eq(sos_engine_container_inspect(engine, "abc", &call, &c, &error), 0);
	ck_assert_int_eq(c.pid, 0);
	sos_engine_container_clear(&c);
	ck_assert_int_eq(sos_engine_container_inspect(engine, "abc", &call, &c, &error), SOS_ERROR_ENGINE);
	ck_assert_int_eq(sos_engine_container_list(engine, labels, &call, &list, &count, &error), 0);
	ck_assert_uint_eq(count, 3);
	ck_assert_str_eq(list[0].name, "n");
	ck_assert_str_eq(list[0].labels[0].name, "k");
	ck_assert_str_eq(list[0].labels[0].value, "v");
	ck_assert_str_eq(list[0].labels[1].value, "");
	ck_assert_ptr_null(list[0].labels[2].name);
	ck_assert_ptr_null(list[1].labels[0].name);
	ck_assert(list[1].running && !list[0].running);
	ck_assert_str_eq(list[2].id, "");
	sos_engine_container_list_free(list, count);
	ck_assert_int_eq(sos_engine_container_list(engine, NULL, &call, &list, &count, &error), 0);
	ck_assert_uint_eq(count, 0);
	sos_engine_container_list_free(list, count);
	ck_assert_int_eq(sos_engine_container_list(engine, NULL, &call, &list, &count, &error), SOS_ERROR_ENGINE);
	end();
}
END_TEST

UNIT_MAIN("engine_calls", negotiation, negotiation_fails, without_negotiation, one_connection_for_many, create_sends,
	  create_sends_little, create_fails, remove_takes_gone_as_done, remove_fails, start_fails, inspect_and_list)
