# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a request's JSON may be, and what is said about it when it is not. No container is started."""

from support import UUID, send, serving, want, want_error


def environment(options):
    return serving(options)


def create_defaults(env):
    """POST /sandboxes with {} gives an id and the defaults"""
    status, answer = env.request("POST", "/sandboxes", {})
    yield want("status", status, 200)
    yield want("keys", list(answer), ["id"])
    if not UUID.match(answer["id"]):
        yield f"id is {answer['id']!r}"
    info = env.request("GET", "/sandboxes/" + answer["id"])[1]
    yield want("image", info["image"], "ubuntu:latest")
    yield want("setup_commands", info["setup_commands"], "")
    yield want("status", info["status"], "created")


def unknown_and_null(env):
    """unknown fields are ignored, null is as if it were not there"""
    body = {"image": None, "setup_commands": None, "environment": None, "memory_bytes": None, "network": None,
            "future": {"deep": [1, 2.5e3, True, None, {"x": "\u0000"}]}, "": 1}
    yield want("status", env.request("POST", "/sandboxes", body)[0], 200)


def wrong_types(env):
    """a field of the wrong type or range is 400 and named"""
    for field, values in {
            "image": (5, True, [], {}, ""),
            "setup_commands": ("x", 5, {}, ["x", 5], [None]),
            "environment": ("A=1", 5, ["A", 5], {"A": 5}, {"": "x"}, {"A=B": "x"}),
            "labels": ("x", {"a": None}),
            "working_directory": (5,), "user": (0,), "runtime": ([],),
            "memory_bytes": ("1g", 1.5, -2, 1e30), "cpus": ("2", -1, 0.001, 1025, 1e9), "pids_limit": ("5", -3, 1.1),
            "lifetime_ms": ("5", -1, 1e15), "idle_timeout_ms": (-1, []),
            "network": ("host", 5), "streams": ("both", True), "profile": ("root",),
            "new_privileges": ("yes", 1)}.items():
        for value in values:
            answer = env.request("POST", "/sandboxes", {"image": "x", field: value})
            yield want_error(f"{field} {value!r}", answer, 400, field)


def exec_types(env):
    """fields of exec: wrong ones are 400 and named"""
    path = env.create() + "/exec"
    for body, words in (
            ({}, ["command"]), ({"command": None}, ["command"]), ({"command": 5}, ["command", "number"]),
            ({"command": ["ls"]}, ["command"]), ({"command": "x", "standalone": "yes"}, ["standalone"]),
            ({"command": "x", "standalone": 1}, ["standalone"]), ({"command": "x", "timeout_ms": "5"}, ["timeout_ms"]),
            ({"command": "x", "timeout_ms": -1}, ["timeout_ms"]), ({"command": "x", "timeout_ms": 1.5}, ["timeout_ms"]),
            ({"command": "x", "max_output_bytes": -1}, ["max_output_bytes"]),
            ({"command": "x", "max_output_bytes": 1 << 40}, ["max_output_bytes"]),
            ({"command": "x", "encoding": "latin-1"}, ["encoding", "base64"]),
            ({"command": "x", "exec_id": 5}, ["exec_id"]), ({"command": "x", "exec_id": "a b"}, ["exec_id"]),
            ({"command": "x", "exec_id": "a" * 129}, ["exec_id"]),
            ({"argv": ["ls"]}, ["argv", "standalone"]), ({"command": "x", "stdin": "y"}, ["stdin", "standalone"]),
            ({"command": "x", "judge": True}, ["judge", "standalone"]),
            ({"command": "x", "streams": "separate"}, ["streams", "standalone"]),
            ({"argv": "ls", "standalone": True}, ["argv"]), ({"argv": ["ls", 5], "standalone": True}, ["argv[1]"]),
            ({"argv": ["ls", "a\0b"], "standalone": True}, ["argv[1]", "NUL"]),
            ({"argv": ["ls"], "command": "ls", "standalone": True}, ["argv", "command"]),
            ({"command": "cat", "stdin": 5, "standalone": True}, ["stdin", "string", "base64"]),
            ({"command": "cat", "stdin": ["a"], "standalone": True}, ["stdin", "array"]),
            ({"command": "cat", "stdin": {}, "standalone": True}, ["stdin.base64", "missing"]),
            ({"command": "cat", "stdin": {"base64": None}, "standalone": True}, ["stdin.base64", "missing"]),
            ({"command": "cat", "stdin": {"base64": 5}, "standalone": True}, ["stdin.base64", "number"]),
            ({"command": "cat", "stdin": {"base64": "a b="}, "standalone": True}, ["stdin.base64", "not base64"]),
            ({"command": "cat", "stdin": {"base64": "YQ==\n"}, "standalone": True}, ["stdin.base64", "not base64"]),
            ({"command": "cat", "stdin": {"base64": "YQ=="}}, ["stdin", "standalone"]),
            ({"command": "echo a\0b"}, ["command", "NUL", "6"])):
        yield want_error(repr(body), env.request("POST", path, body), 400, *words)


def broken_json(env):
    """broken JSON is 400 with the byte where it breaks"""
    for body, words in (
            ("", ["body"]), (" ", ["byte 1"]), ("{", ["byte 1"]), ('{"image": "x"', ["byte 13"]),
            ('{"image": "x",}', ["byte 14"]), ('{"image" "x"}', ["byte 9"]), ("{'image': 1}", ["byte 1"]),
            ('{"image": "x"} x', ["byte 15"]), ('{"image": "x"}{}', ["byte 14"]), ("[]", ["object"]), ("5", ["object"]),
            ('"x"', ["object"]), ("null", ["object"]), ('{"image": NaN}', ["byte 10"]),
            ('{"image": Infinity}', ["byte 10"]),
            ('{"image": 01}', ["byte 11"]), ('{"image": 1.}', ["byte 12"]), ('{"image": .5}', ["byte 10"]),
            ('{"image": +5}', ["byte 10"]), ('{"image": 1e}', ["byte 12"]), ('{"image": tru}', ["byte 10"]),
            ('{"image": "a\nb"}', ["byte 12", "image"]), ('{"image": "\\x"}', ["byte 11", "image"]),
            ('{"image": "\\u12g4"}', ["image"]), ('{"image": "\\ud800"}', ["surrogate", "image"]),
            ('{"image": "\\udc00x"}', ["surrogate"]), ('{"image": "\\ud800\\u0041"}', ["surrogate"]),
            ('{"image": "a", "image": "b"}', ["image", "twice"]),
            ('{"x": {"a": 1, "b": 2, "a": 3}}', ["twice"]),
            ('{"image": "a", "im\\u0061ge": "b"}', ["twice"]),
            ("\ufeff{}", ["byte order mark"]), ('{"x": "\0"}', ["byte 7"]), ("{}\0", ["byte 2"]),
            (b'{"image": "a\xffb"}', ["byte 12", "UTF-8", "image"]), (b'{"image": "\xed\xa0\x80"}', ["UTF-8"]),
            (b'{"image": "\xc0\x80"}', ["UTF-8"]), (b'\xff\xfe{\0}\0', ["byte 0"]),
            ("[" * 100000, ["deep"]), ('{"a":' * 100000, ["deep"]), ('{"x":' + "[" * 70 + "]" * 70 + "}", ["deep"]),
            ('{"x": [' + "1," * 200000 + "1]}", ["values"])):
        name = repr(body[:40])
        yield want_error(name, send(env.port, "/sandboxes", body), 400, *words)


def good_json(env):
    """everything that JSON allows is understood"""
    for body in (' \t\r\n{ "image" : "x" } \n', '{"x":{"x":"\\u0078\\/\\"\\\\\\b\\f\\n\\r\\t"}}',
                 '{"labels":{"x":"\\ud83c\\udf0a"}}',
                 '{"memory_bytes":-1}', '{"memory_bytes":2.0e9}', '{"cpus":1.5}', '{"cpus":0}', '{"pids_limit":100.0}',
                 '{"x":[[],{},[{}],1e400,-0,0.0,-1E-5]}', '{"image":"x","x":"' + "\\u00e9" * 1000 + '"}',
                 '{"environment":["A=1","B="],"labels":{"k":"v=w"}}', '{"x":' + "[" * 60 + "]" * 60 + "}"):
        status, text = send(env.port, "/sandboxes", body)
        if status != 200:
            yield f"{body[:60]!r}: {status} {text!r}"


def fields_are_kept(env):
    """what create was given shows in GET /sandboxes/{id}, values of the environment excepted"""
    spec = {"image": "x:1", "setup_commands": ["a", "b c"], "environment": {"SECRET": "hunter2"},
            "labels": {"k": "v=w"},
            "working_directory": "/w", "user": "1:2", "runtime": "runsc", "memory_bytes": 64 << 20, "cpus": 1.5,
            "pids_limit": 99, "lifetime_ms": 5000, "idle_timeout_ms": 4000, "network": "none", "streams": "separate",
            "profile": "standard", "new_privileges": True}
    status, answer = env.request("POST", "/sandboxes", spec)
    yield want("status", (status, answer if status != 200 else ""), (200, ""))
    info = env.request("GET", "/sandboxes/" + answer["id"])[1]
    for name, value in spec.items():
        if name == "environment":
            yield want("environment_names", info["environment_names"], ["SECRET"])
        elif name == "setup_commands":
            yield want(name, info[name], "a && b c")
        else:
            yield want(name, info[name], value)
    if "hunter2" in str(info):
        yield "a value of the environment is shown"
    listed = [s for s in env.request("GET", "/sandboxes")[1] if s["id"] == info["id"]]
    yield want("the same in the list", listed, [info])


def no_limits(env):
    """what GET prints for a limit that is not there can be given to POST"""
    path = env.create(memory_bytes=-1, pids_limit=-1, cpus=0)
    info = env.request("GET", path)[1]
    limits = {name: info[name] for name in ("memory_bytes", "pids_limit", "cpus", "idle_timeout_ms")}
    yield want("limits", limits, {"memory_bytes": -1, "pids_limit": -1, "cpus": 0, "idle_timeout_ms": 0})
    again = env.request("GET", env.create(**limits))[1]
    yield want("given back", {name: again[name] for name in limits}, limits)


def stop_fields(env):
    """stop: the body is optional, remove is a boolean"""
    path = env.create()
    for body in ({"remove": 1}, {"remove": "true"}, {"remove": []}):
        yield want_error(repr(body), env.request("POST", path + "/stop", body), 400, "remove")
    for body in (None, {}, {"remove": None}, {"remove": False}):
        status, text = env.request("POST", path + "/stop", body)
        yield want(f"stop with {body!r}", (status, text), (200, ""))
    yield want("still listed", env.request("GET", path)[1]["status"], "stopped")
    yield want("remove", env.request("POST", path + "/stop", {"remove": True}), (200, ""))
    yield want_error("forgotten", env.request("GET", path), 404)


def missing_body(env):
    """create and exec need a body"""
    path = env.create()
    for target in ("/sandboxes", path + "/exec"):
        yield want_error(target, env.request("POST", target), 400, "body")


def unknown_ids(env):
    """an id that is not known is 404 everywhere"""
    for sandbox in ("00000000-0000-4000-8000-000000000000", "nonsense", "a" * 500, "%2e%2e", "☃"):
        path = "/sandboxes/" + "".join(c if c.isascii() else "%E2%98%83" for c in sandbox)
        for method, rest, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/start", None),
                                   ("POST", "/stop", None),
                                   ("POST", "/exec", {"command": "ls"}), ("GET", "/exec/x", None),
                                   ("GET", "/trajectory", None), ("GET", "/trajectory/formatted", None)):
            yield want_error(method + " " + path + rest, env.request(method, path + rest, body), 404)


TESTS = [create_defaults, unknown_and_null, wrong_types, exec_types, broken_json, good_json, fields_are_kept,
         no_limits, stop_fields, missing_body, unknown_ids]
