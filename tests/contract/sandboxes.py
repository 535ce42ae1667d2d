# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a sandbox over HTTP, on the real Engine."""

import re

from support import UUID, Client, serving, want, want_error

ROW = ["id", "image", "setup_commands", "status", "session_command_count", "last_standalone_exit_code"]


def environment(options):
    return serving(options, "-m", "4")


def row(env, path):
    found = [s for s in env.request("GET", "/sandboxes")[1] if "/sandboxes/" + s["id"] == path]
    return found[0] if found else None


def whole_life(env):
    """create, start, exec, exit, stop, forget: states, bodies, counts"""
    path = env.create(setup_commands=["cd /tmp", "export X=1"])
    yield want("keys of a row begin", list(row(env, path))[:6], ROW)
    yield want("created", (row(env, path)["status"], row(env, path)["last_standalone_exit_code"]), ("created", None))
    yield want("setup_commands", row(env, path)["setup_commands"], "cd /tmp && export X=1")
    yield want_error("exec before start", env.request("POST", path + "/exec", {"command": "ls"}), 400, "not started")
    yield want("start", env.request("POST", path + "/start"), (200, ""))
    yield want("started", row(env, path)["status"], "started")
    yield want_error("start twice", env.request("POST", path + "/start"), 400)
    yield want("setup", env.run(path, "echo $X $PWD")["output"], "1 /tmp")
    env.run(path, "exit 3", standalone=True)
    yield want("counts", (row(env, path)["session_command_count"], row(env, path)["last_standalone_exit_code"]), (1, 3))
    answer = env.run(path, "exit 7")
    yield want("exit", (answer["exited"], answer["exit_code"], answer["session_lost"]), (True, 7, False))
    yield want("exited", row(env, path)["status"], "exited")
    yield want_error("exec after exit", env.request("POST", path + "/exec", {"command": "ls"}), 400)
    yield want("standalone after exit", env.run(path, "echo on", standalone=True)["output"], "on\n")
    yield want("stop", env.request("POST", path + "/stop"), (200, ""))
    yield want("stopped", row(env, path)["status"], "stopped")
    yield want("trajectory after stop", env.request("GET", path + "/trajectory")[1]["command_count"], 2)
    yield want_error("exec after stop", env.request("POST", path + "/exec", {"command": "ls"}), 400)
    yield want("delete", env.request("DELETE", path), (200, ""))
    yield want("row", row(env, path), None)
    yield want_error("delete twice", env.request("DELETE", path), 404)


def details(env):
    """GET /sandboxes/{id} has everything that is known"""
    with env.started(labels={"task": "42"}, memory_bytes=64 << 20, pids_limit=50) as path:
        info = env.request("GET", path)[1]
        for name in ("state", "reason", "queue_position", "progress", "container_id", "container_name", "labels",
                     "memory_bytes",
                     "cpus", "pids_limit", "lifetime_ms", "idle_timeout_ms", "network", "streams",
                     "profile", "new_privileges",
                     "user", "working_directory", "runtime", "shell", "transport", "created_unix_ms", "started_unix_ms",
                     "expires_unix_ms", "session_busy", "environment_names", "sessions"):
            if name not in info:
                yield f"{name} is missing"
        yield want("state", info["state"], "started")
        yield want("labels", info["labels"], {"task": "42"})
        yield want("limits", (info["memory_bytes"], info["pids_limit"]), (64 << 20, 50))
        yield want("sessions", [s["state"] for s in info["sessions"]], ["idle"])
        if not re.fullmatch("[0-9a-f]{64}", info["container_id"] or ""):
            yield f"container_id is {info['container_id']!r}"
        if not info["created_unix_ms"] <= info["started_unix_ms"] < info["expires_unix_ms"]:
            yield f"times {info['created_unix_ms']}, {info['started_unix_ms']}, {info['expires_unix_ms']}"
        if info["expires_unix_ms"] - info["started_unix_ms"] > 601000:
            yield "the server's own --timeout of 600 s is not the default"


def bad_image(env):
    """an image that cannot be had is 400 with the Engine's words, and can be tried again"""
    path = env.create(image="localhost:1/no/such:image")
    for _ in range(2):
        yield want_error("start", env.request("POST", path + "/start"), 400, "localhost:1/no/such")
    yield want("status", row(env, path)["status"], "created")
    env.request("DELETE", path)


def bad_setup(env):
    """a setup command that fails is 400 with its output; no container stays"""
    path = env.create(setup_commands=["true", "echo broken >&2; exit 9", "touch /never"])
    yield want_error("start", env.request("POST", path + "/start"), 400, "broken", "9")
    info = env.request("GET", path)[1]
    yield want("after it", (info["status"], info["container_id"]), ("created", None))
    env.request("DELETE", path)


def trajectory(env):
    """the trajectory has the session's commands in order, setup and standalone ones not"""
    with env.started(setup_commands=["echo setup"]) as path:
        yield want("empty", env.request("GET", path + "/trajectory"),
                   (200, {"sandbox_id": path.split("/")[2], "command_count": 0, "trajectory": []}))
        yield want("empty text", env.request("GET", path + "/trajectory/formatted"), (200, ""))
        env.run(path, "echo one")
        env.run(path, "echo alone", standalone=True)
        env.run(path, "cat <<E\ntwo\nlines\nE\nfalse")
        env.run(path, "true")
        answer = env.request("GET", path + "/trajectory")[1]
        yield want("keys", list(answer), ["sandbox_id", "command_count", "trajectory"])
        yield want("count", answer["command_count"], 3)
        steps = answer["trajectory"]
        seen = [(s["index"], s["command"], s["result"]["output"], s["result"]["exit_code"]) for s in steps]
        yield want("steps", seen, [(0, "echo one", "one", 0), (1, "cat <<E\ntwo\nlines\nE\nfalse", "two\nlines", 1),
                                   (2, "true", "", 0)])
        times = [s["timestamp"] for s in steps]
        if not all(isinstance(t, float) for t in times) or times != sorted(times) or not 0 <= times[0] < 60:
            yield f"timestamps {times}"
        yield want("text", env.request("GET", path + "/trajectory/formatted")[1],
                   "$ echo one\none\n$ cat <<E\ntwo\nlines\nE\nfalse\ntwo\nlines\n$ true\n")


def expiry(env):
    """a sandbox whose lifetime is over is stopped by itself and says why"""
    from support import until
    with env.started(lifetime_ms=1500) as path:
        stopped = until(lambda: (row(env, path) or {"status": "stopped"})["status"] == "stopped", 15)
        yield want("stopped by itself", stopped, True)


def many_clients(env):
    """clients at once on different sandboxes get their own output"""
    from support import Background
    paths = [env.create() for _ in range(4)]

    def work(path, number):
        client = Client(env.port)
        wrong = [a for a in [client.request("POST", path + "/start")] if a[0] != 200]
        for i in range(50):
            status, answer = client.request("POST", path + "/exec", {"command": f"echo {number}-{i}"})
            if status != 200 or answer["output"] != f"{number}-{i}":
                wrong.append((status, answer))
        client.request("DELETE", path)
        return wrong
    threads = [Background(work, path, number) for number, path in enumerate(paths)]
    for thread in threads:
        thread.join()
        yield want("wrong answers", thread.result, [])


def ids(env):
    """ids are UUIDs and differ"""
    made = {env.create().split("/")[2] for _ in range(50)}
    yield want("number", len(made), 50)
    yield from (f"{i} is no UUID" for i in made if not UUID.match(i))
    for i in made:
        env.request("DELETE", "/sandboxes/" + i)


TESTS = [whole_life, details, bad_image, bad_setup, trajectory, expiry, many_clients, ids]
