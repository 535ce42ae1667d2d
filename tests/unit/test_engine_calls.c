/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What each call sends, and what it makes of the Engine's good and bad answers. */
#include "engine/engine.h"

#include <stdio.h>

#include "fakeengine/fakeengine.h"
#include "unit.h"
#include "util/clock.h"

#define EMPTY(status) FAKE_BYTES("HTTP/1.1 " status "\r\n\r\n")
#define WHOLE(status, body) FAKE_BYTES("HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body), .close = true
#define SCRIPT(e, ...)                                                                                                 \
	do {                                                                                                           \
		static const struct fake_reply script_[] = { __VA_ARGS__ };                                            \
		fake_engine_script(e, script_, sizeof(script_) / sizeof(*script_));                                    \
	} while (0)

static struct fake_engine *fake;
static struct sos_engine *engine;
static struct sos_engine_call call;
static struct sos_error error;

static void begin(void)
{
	error = (struct sos_error)SOS_ERROR_INIT;
	fake = fake_engine_new();
	ck_assert_int_eq(sos_engine_new(fake_engine_address(fake), &engine, &error), 0);
	call = (struct sos_engine_call){ sos_clock_deadline(20000), -1 };
}

static void end(void)
{
	ck_assert(!fake_engine_mismatch(fake));
	sos_engine_free(engine);
	fake_engine_free(fake);
}

static void failed(int r, int code, const char *message)
{
	if (r != code || error.code != code || strcmp(error.message, message) != 0)
		ck_abort_msg("%d (%d): %s\nwanted %d: %s", r, error.code, error.message, code, message);
}

/* The n-th request since the script. */
static const char *request(size_t n)
{
	const char *text;
	ck_assert_uint_gt(fake_engine_requests(fake, &text), n);
	while (n--)
		text += strlen(text) + 1;
	return text;
}

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

START_TEST(images)
{
	struct sos_engine_image image = { 0 };
	begin();
	SCRIPT(fake,
	       { WHOLE("200 OK", "{\"Id\":\"sha256:1\",\"Config\":{\"User\":\"u\",\"WorkingDir\":\"/"
				 "w\",\"Env\":[\"A=b\",\"C=d\"],\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"]}}}"),
		 .request = "GET /images/localhost:5000/a/b:c/json " },
	       { WHOLE("200 OK", "{\"Id\":\"sha256:1\",\"Config\":null}") },
	       { WHOLE("404 Not Found", "{\"message\":\"No such image: x:latest\"}") });
	ck_assert_int_eq(sos_engine_image_inspect(engine, "localhost:5000/a/b:c", &call, &image, &error), 0);
	ck_assert_str_eq(image.user, "u");
	ck_assert_str_eq(image.working_directory, "/w");
	ck_assert_str_eq(image.environment[1], "C=d");
	ck_assert_ptr_null(image.environment[2]);
	ck_assert(image.has_healthcheck);
	sos_engine_image_clear(&image);
	ck_assert_int_eq(sos_engine_image_inspect(engine, "x", &call, &image, &error), 0);
	ck_assert_str_eq(image.user, "");
	ck_assert_ptr_null(image.environment[0]);
	ck_assert(!image.has_healthcheck);
	sos_engine_image_clear(&image);
	failed(sos_engine_image_inspect(engine, "x", &call, &image, &error), SOS_ERROR_NOT_FOUND,
	       "image \"x\": not found: No such image: x:latest (404)");
	failed(sos_engine_image_inspect(engine, "X/", &call, &image, &error), SOS_ERROR_INVALID,
	       "image \"X/\": not a reference of the form NAME[:TAG][@DIGEST]: its name may have only lower-case "
	       "letters, digits, "
	       "and single separators . _ - /");
	end();
}
END_TEST

struct seen {
	char text[1024];
	int count;
};

static void on_pull(void *data, const char *text, int64_t current, int64_t total)
{
	struct seen *seen = data;
	size_t length = strlen(seen->text);
	seen->count++;
	snprintf(seen->text + length, sizeof(seen->text) - length, "%s %d/%d|", text, (int)current, (int)total);
}

START_TEST(pull)
{
	struct seen seen = { .count = 0 };
	begin();
	SCRIPT(fake,
	       { FAKE_BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "14\r\n{\"status\":\"Pulling\"}\r\n41\r\n\r\n{\"status\":\"Dow\\nn\",\"id\":\"abc\","
			    "\"progressDetail\":{\"current\":1,\"to"
			    "\r\n9\r\ntal\":20}}\r\n0\r\n\r\n"),
		 .one_by_one = true, .request = "POST /images/create?fromImage=localhost%3A5000%2Fa&tag=t " },
	       { WHOLE("200 OK", "{}"), .request = "POST /images/create?fromImage=a&tag=latest " },
	       { WHOLE("200 OK", ""), .request =
					      "POST "
					      "/images/"
					      "create?fromImage=a&tag=sha256%"
					      "3A0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef " });
	ck_assert_int_eq(sos_engine_image_pull(engine, "localhost:5000/a:t", &call, on_pull, &seen, &error), 0);
	ck_assert_str_eq(seen.text, "Pulling 0/0|abc: Dow n 1/20|");
	ck_assert_int_eq(sos_engine_image_pull(engine, "a", &call, NULL, NULL, &error), 0);
	ck_assert_int_eq(sos_engine_image_pull(
				 engine, "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				 &call, NULL, NULL, &error),
			 0);
	end();
}
END_TEST

START_TEST(pull_fails)
{
	struct seen seen = { .count = 0 };
	begin();
	SCRIPT(fake, { WHOLE("404 Not Found", "{\"message\":\"pull access denied for a\"}") },
	       { WHOLE("500 Internal Server Error", "{\"message\":\"dial tcp: no such host\"}") },
	       { WHOLE("200 OK", "{\"status\":\"s\"}{\"errorDetail\":{\"message\":\"toomanyrequests\"},\"error\":"
				 "\"toomanyrequests\"}{\"status\":\"never seen\"}") },
	       { WHOLE("200 OK", "{\"error\":\"only this\"}") }, { WHOLE("200 OK", "{\"status\":\"s\"}{\"sta") },
	       { WHOLE("200 OK", "<html>") }, { WHOLE("200 OK", "{\"a\" 1}") });
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": not found: pull access denied for a (404)");
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": pull failed: dial tcp: no such host (500)");
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": pull failed: toomanyrequests");
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": pull failed: only this");
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": pull failed: the Engine stopped in the middle");
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": pull failed: the Engine's progress is not JSON");
	failed(sos_engine_image_pull(engine, "a", &call, on_pull, &seen, &error), SOS_ERROR_IMAGE,
	       "image \"a\": pull failed: the Engine's progress is not JSON");
	failed(sos_engine_image_pull(engine, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", &call,
				     on_pull, &seen, &error),
	       SOS_ERROR_IMAGE,
	       "image \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\": not here, and an id alone "
	       "can't be pulled: give its name");
	ck_assert_str_eq(seen.text, "s 0/0|s 0/0|");
	end();
}
END_TEST

START_TEST(volumes_and_networks)
{
	static const struct sos_engine_pair labels[] = { { "l", "v" }, { NULL, NULL } };
	static const char *const filter[] = { "l=v", NULL };
	char *id = NULL, **ids = NULL;
	size_t count;
	begin();
	SCRIPT(fake, { WHOLE("201 Created", "{}"), .request = "POST /volumes/create " },
	       { EMPTY("204 No Content"), .request = "DELETE /volumes/v " }, { WHOLE("404 Not Found", "{}") },
	       { WHOLE("409 Conflict", "{\"message\":\"volume is in use\"}") },
	       { WHOLE("201 Created", "{\"Id\":\"n1\"}"), .request = "POST /networks/create " },
	       { WHOLE("409 Conflict", "{\"message\":\"network with name n already exists\"}") },
	       { WHOLE("200 OK", "{\"Id\":\"n2\"}"), .request = "GET /networks/n " },
	       { WHOLE("403 Forbidden", "{\"message\":\"no more addresses\"}") },
	       { EMPTY("204 No Content"), .request = "DELETE /networks/n1 " },
	       { WHOLE("200 OK", "[{\"Id\":\"n1\"},{\"Id\":\"n2\"}]"),
		 .request = "GET /networks?filters=%7B%22label%22:%5B%22l%3Dv%22%5D%7D " });
	ck_assert_int_eq(sos_engine_volume_create(engine, "v", labels, &call, &error), 0);
	ck_assert_str_eq(strstr(request(0), "\r\n\r\n") + 4, "{\"Name\":\"v\",\"Labels\":{\"l\":\"v\"}}");
	ck_assert_int_eq(sos_engine_volume_remove(engine, "v", &call, &error), 0);
	ck_assert_int_eq(sos_engine_volume_remove(engine, "v", &call, &error), 0);
	failed(sos_engine_volume_remove(engine, "v", &call, &error), SOS_ERROR_ENGINE,
	       "remove volume \"v\": volume is in use (409)");
	ck_assert_int_eq(sos_engine_network_create(engine, "n", labels, &call, &id, &error), 0);
	ck_assert_str_eq(id, "n1");
	free(id);
	ck_assert_str_eq(strstr(request(4), "\r\n\r\n") + 4,
			 "{\"Name\":\"n\",\"CheckDuplicate\":true,\"Driver\":\"bridge\",\"Options\":{\"com.docker."
			 "network.bridge.enable_icc\":\"false\"},\"Labels\":{\"l\":\"v\"}}");
	ck_assert_int_eq(sos_engine_network_create(engine, "n", labels, &call, &id, &error), 0);
	ck_assert_str_eq(id, "n2");
	free(id);
	id = NULL;
	failed(sos_engine_network_create(engine, "n", labels, &call, &id, &error), SOS_ERROR_ENGINE,
	       "create network \"n\": no more addresses (403)");
	ck_assert_ptr_null(id);
	ck_assert_int_eq(sos_engine_network_remove(engine, "n1", &call, &error), 0);
	ck_assert_int_eq(sos_engine_network_list(engine, filter, &call, &ids, &count, &error), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(ids[1], "n2");
	for (size_t i = 0; i < count; i++)
		free(ids[i]);
	free(ids);
	end();
}
END_TEST

START_TEST(archive)
{
	int64_t size = -7;
	begin();
	SCRIPT(fake, { WHOLE("200 OK", ""), .request = "PUT /containers/x/archive?path=/a%20b " },
	       { WHOLE("404 Not Found", "{\"message\":\"Could not find the file /q in container x\"}") },
	       { FAKE_BYTES("HTTP/1.1 200 OK\r\nx-docker-container-path-stat:  "
			    "eyJuYW1lIjoiaW5pdCIsInNpemUiOjQ2MDAwfQ== \r\nContent-Length: 99\r\n\r\n"),
		 .request = "HEAD /containers/x/archive?path=/sos/init " },
	       { EMPTY("404 Not Found") }, { EMPTY("200 OK\r\nX-Docker-Container-Path-Stat: e30=") },
	       { EMPTY("200 OK\r\nX-Docker-Container-Path-Stat: !") }, { EMPTY("200 OK") });
	ck_assert_int_eq(sos_engine_archive_put(engine, "x", "/a b", "tarbytes", 8, &call, &error), 0);
	ck_assert_str_eq(strstr(request(0), "\r\n\r\n") + 4, "tarbytes");
	ck_assert_ptr_nonnull(strstr(request(0), "Content-Type: application/x-tar\r\n"));
	failed(sos_engine_archive_put(engine, "x", "/q", "t", 1, &call, &error), SOS_ERROR_NOT_FOUND,
	       "write \"/q\" into container \"x\": Could not find the file /q in container x (404)");
	ck_assert_int_eq(sos_engine_archive_size(engine, "x", "/sos/init", &call, &size, &error), 0);
	ck_assert_int_eq(size, 46000);
	failed(sos_engine_archive_size(engine, "x", "/q", &call, &size, &error), SOS_ERROR_NOT_FOUND,
	       "look for \"/q\" in container \"x\": not found (404)");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sos_engine_archive_size(engine, "x", "/q", &call, &size, &error), SOS_ERROR_ENGINE);
	ck_assert_int_eq(size, 46000);
	end();
}
END_TEST

UNIT_MAIN("engine_calls", negotiation, negotiation_fails, without_negotiation, one_connection_for_many, create_sends,
	  create_sends_little, create_fails, remove_takes_gone_as_done, remove_fails, start_fails, inspect_and_list,
	  images, pull, pull_fails, volumes_and_networks, archive)
