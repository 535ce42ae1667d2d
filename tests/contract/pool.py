# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pool and its warm containers over HTTP, on the real Engine."""

import json
import time

from support import finish, serving, until, want, want_error

ROW = {"image", "count", "target", "ready", "starting", "busy", "hits", "misses", "hit_rate", "failure", "failure_code",
       "setup_commands", "environment_names", "working_directory", "user", "runtime", "memory_bytes", "cpus",
       "pids_limit", "network", "streams", "profile", "new_privileges"}


def environment(options):
    return serving(options, "-m", "4", "--network", "none", "--warm", f"{options.image}=2")


def pool(env):
    status, answer = env.request("GET", "/pool")
    assert status == 200, (status, answer)
    return answer


def row(env, image):
    found = [warm for warm in pool(env)["warm"] if warm["image"] == image and not warm["setup_commands"]]
    return found[0] if found else None


def ready(env, count):
    return until(lambda: pool(env)["warm_ready"] == count and pool(env)["warm_starting"] == 0, 60)


def set_warm(env, count, **spec):
    return env.request("POST", "/pool/warm", {"image": env.image, "count": count, **spec})


def numbers(env):
    """GET /pool shows the pool's numbers and each warm spec"""
    if not ready(env, 2):
        yield f"not ready: {pool(env)}"
    answer = pool(env)
    for name in ("capacity", "containers", "starting", "running", "removing", "queued", "sandboxes", "transport",
                 "warm_hits", "warm_misses", "warm_policy"):
        if name not in answer:
            yield f"{name} is missing"
    yield want("capacity, containers", (answer["capacity"], answer["containers"]), (4, 2))
    yield want("policy", answer["warm_policy"], "fixed")
    warm = row(env, env.image)
    yield want("fields of a row", set(warm), ROW)
    yield want("row", (warm["count"], warm["target"], warm["ready"], warm["busy"], warm["failure"]), (2, 2, 2, 0, None))
    yield want("no rate before the first start", warm["hit_rate"], None)
    yield want("its network is the server's default", warm["network"], "none")
    yield want("sandboxes", env.request("GET", "/sandboxes")[1], [])


def takes(env):
    """a start that fits takes one, another does not; both do what was asked for"""
    ready(env, 2)
    with env.started(environment={"TASK": "7"}, labels={"a": "b"}, setup_commands=["cd /tmp"]) as path:
        yield want("it works", env.run(path, "echo $TASK $PWD")["output"], "7 /tmp")
        warm = row(env, env.image)
        yield want("hits, misses, busy", (warm["hits"], warm["misses"], warm["busy"]), (1, 0, 1))
        yield want("rate", warm["hit_rate"], 1.0)
        info = env.request("GET", path)[1]
        yield want("details", (info["state"], info["labels"], info["shell"], info["session_command_count"]),
                   ("started", {"a": "b"}, "bash", 1))
        if abs(info["started_unix_ms"] - time.time() * 1000) > 10000:
            yield f"started_unix_ms is {info['started_unix_ms']}"
        with env.started(memory_bytes=64 << 20) as other:
            yield want("another works", env.run(other, "echo other")["output"], "other")
            yield want("and took none", row(env, env.image)["hits"], 1)
    if not ready(env, 2):
        yield f"not refilled: {pool(env)}"
    yield want("nobody is busy", row(env, env.image)["busy"], 0)


def live(env):
    """POST /pool/warm changes numbers and specs while the server runs"""
    ready(env, 2)
    yield want("add", set_warm(env, 1, setup_commands=["echo ready > /tmp/mark"], environment={"SECRET": "x"}), (200, ""))
    ready(env, 3)
    text = json.dumps(pool(env))
    yield None if '"SECRET"' in text and '"x"' not in text else f"names and no values of the environment: {text}"
    with env.started(setup_commands=["echo ready > /tmp/mark", "cat /tmp/mark"], environment={"SECRET": "x"}) as path:
        yield want("setup", env.run(path, "cat /tmp/mark; echo $SECRET")["output"], "ready\nx")
        hits = [warm["hits"] for warm in pool(env)["warm"] if warm["setup_commands"]]
        yield want("the one with most of its setup done was taken", hits, [1])
    yield want("remove", set_warm(env, 0, setup_commands=["echo ready > /tmp/mark"], environment={"SECRET": "x"}), (200, ""))
    yield want("to one", set_warm(env, 1), (200, ""))
    if not ready(env, 1):
        yield f"not shrunk: {pool(env)}"
    yield want("rows", len(pool(env)["warm"]), 1)
    set_warm(env, 2)


def refusals(env):
    """what POST /pool/warm refuses names the field"""
    yield want_error("no count", env.request("POST", "/pool/warm", {"image": env.image}), 400, "count")
    yield want_error("too many", set_warm(env, 5), 400, "count", "capacity of 4")
    yield want_error("negative", set_warm(env, -1), 400, "count")
    yield want_error("a bad image", env.request("POST", "/pool/warm", {"image": "UPPER", "count": 1}), 400, "image")
    yield want_error("a bad field", set_warm(env, 1, network="host"), 400, "network")
    yield want_error("method", env.request("GET", "/pool/warm"), 405, "POST")
    for arguments, word in ((["--warm", "ubuntu"], "--warm"), (["--warm", "=3"], "--warm"), (["--warm", "a=x"], "--warm"),
                            (["--warm-policy", "some"], "adaptive"), (["-m", "2", "--warm", "a=3"], "capacity")):
        status, _, text = finish(env.program, "--port", "0", *arguments)
        yield None if status and word in text and text.count("\n") == 1 else f"{arguments}: {status}, {text!r}"


def failures(env):
    """one that can't be made shows in /readyz and in GET /pool, and does no harm"""
    yield want("set", env.request("POST", "/pool/warm", {"image": "sos-test:nosuch", "count": 1})[0], 200)
    if not until(lambda: row(env, "sos-test:nosuch")["failure"], 60):
        yield f"no failure: {pool(env)}"
    status, text = env.request("GET", "/readyz")
    yield want("ready all the same", status, 200)
    yield None if text.startswith("ready; warm sos-test:nosuch: ") and text.count("\n") == 1 else f"/readyz says {text!r}"
    yield want("code", row(env, "sos-test:nosuch")["failure_code"], "image")
    with env.started() as path:
        yield want("others start", env.run(path, "echo fine")["output"], "fine")
    env.request("POST", "/pool/warm", {"image": "sos-test:nosuch", "count": 0})
    yield want("and it is gone", env.request("GET", "/readyz"), (200, "ready\n"))


TESTS = (numbers, takes, live, refusals, failures)
