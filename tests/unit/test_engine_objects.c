/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images, volumes, networks and archives: what is sent, what is made of good and bad answers. */
#include <stdio.h>

#include "engine_fixture.h"

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

UNIT_MAIN("engine_objects", images, pull, pull_fails, volumes_and_networks, archive)
