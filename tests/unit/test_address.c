/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/address.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static void clear_environment(void)
{
	unsetenv("DOCKER_HOST");
	unsetenv("DOCKER_TLS_VERIFY");
	unsetenv("DOCKER_CERT_PATH");
	setenv("HOME", "/home/somebody", 1);
}

static struct sos_address parse(const char *text)
{
	struct sos_address a = { 0 };
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_address_parse(text, &a, &error) < 0)
		ck_abort_msg("%s", error.message);
	ck_assert_int_eq(error.code, 0);
	return a;
}

START_TEST(sources)
{
	clear_environment();
	struct sos_address a = parse(NULL);
	ck_assert_str_eq(a.text, "unix:///var/run/docker.sock");
	ck_assert_str_eq(a.socket_path, "/var/run/docker.sock");
	sos_address_clear(&a);
	setenv("DOCKER_HOST", "", 1);
	a = parse(NULL);
	ck_assert_str_eq(a.text, "unix:///var/run/docker.sock");
	sos_address_clear(&a);
	setenv("DOCKER_HOST", "tcp://a:1", 1);
	a = parse(NULL);
	ck_assert_str_eq(a.text, "tcp://a:1");
	sos_address_clear(&a);
	a = parse("unix:///x");
	ck_assert_str_eq(a.socket_path, "/x");
	sos_address_clear(&a);
}
END_TEST

START_TEST(tcp)
{
	clear_environment();
	struct sos_address a = parse("tcp://engine.example.org/");
	ck_assert_str_eq(a.base_url, "http://engine.example.org:2375");
	ck_assert_str_eq(a.host, "engine.example.org:2375");
	ck_assert_ptr_null(a.socket_path);
	ck_assert(!a.tls);
	sos_address_clear(&a);
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	a = parse("tcp://[::1]");
	ck_assert_str_eq(a.base_url, "https://[::1]:2376");
	ck_assert(a.tls);
	ck_assert_str_eq(a.ca, "/home/somebody/.docker/ca.pem");
	sos_address_clear(&a);
	setenv("DOCKER_CERT_PATH", "/certs", 1);
	a = parse("tcp://10.0.0.1:99");
	ck_assert_str_eq(a.ca, "/certs/ca.pem");
	ck_assert_str_eq(a.cert, "/certs/cert.pem");
	ck_assert_str_eq(a.key, "/certs/key.pem");
	sos_address_clear(&a);
	a = parse("unix:///x"); /* TLS is for TCP */
	ck_assert(!a.tls);
	sos_address_clear(&a);
}
END_TEST

START_TEST(refused)
{
	static const char *const bad[] = {
		"",           "/var/run/docker.sock", "unix://",    "unix://relative",    "tcp://",    "tcp://a:",
		"tcp://a:0",  "tcp://a:65536",        "tcp://a:1x", "tcp://a b",          "tcp://a/b", "tcp://user@a",
		"tcp://[::1", "tcp://[]:1",           "ssh://a",    "npipe:////./pipe/x", "http://a",  "tcp://a\r\nX: y"
	};
	clear_environment();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct sos_address a = { 0 };
		struct sos_error error = SOS_ERROR_INIT;
		if (sos_address_parse(bad[i], &a, &error) != SOS_ERROR_INVALID)
			ck_abort_msg("taken: %s", bad[i]);
		ck_assert_int_eq(error.code, SOS_ERROR_INVALID);
		ck_assert_ptr_null(a.text);
	}
	char path[300] = "unix:///";
	memset(path + 8, 'x', 200);
	struct sos_address a = { 0 };
	ck_assert_int_eq(sos_address_parse(path, &a, NULL), SOS_ERROR_INVALID);
	unsetenv("HOME");
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	ck_assert_int_eq(sos_address_parse("tcp://a", &a, NULL), SOS_ERROR_INVALID);
}
END_TEST

START_TEST(advice)
{
	clear_environment();
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_address a = parse("unix:///nowhere/docker.sock");
	ck_assert_int_eq(sos_address_unreachable(&a, ENOENT, "", &error), SOS_ERROR_UNREACHABLE);
	ck_assert_str_eq(error.message,
			 "Docker Engine at unix:///nowhere/docker.sock: No such file or directory: is the Engine "
			 "running? set DOCKER_HOST to use another");
	sos_address_unreachable(&a, EACCES, "", &error);
	ck_assert_ptr_nonnull(strstr(error.message, "ask for access to that socket"));
	sos_address_clear(&a);
	a = parse("unix:///"); /* whatever is there belongs to root */
	sos_address_unreachable(&a, EACCES, "", &error);
	ck_assert_ptr_nonnull(strstr(error.message, "group \"root\""));
	sos_address_clear(&a);
	a = parse("tcp://a:1");
	sos_address_unreachable(&a, 0, "Could not resolve host: a", &error);
	ck_assert_ptr_nonnull(strstr(error.message, "tcp://a:1: Could not resolve host: a"));
	sos_address_clear(&a);
}
END_TEST

UNIT_MAIN("address", sources, tcp, refused, advice)
