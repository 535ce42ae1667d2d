# SPDX-License-Identifier: LGPL-2.1-or-later
"""More starts than slots: the queue, its bound, clients that go away. On the real Engine."""

import time

from support import Background, Client, serving, until, want, want_error


def environment(options):
    return serving(options, "-m", "1", "--max-waiting", "6")


def info(env, path):
    return env.request("GET", path)[1]


def begin_start(env, path):
    """Send the request for a start and return its connection."""
    client = Client(env.port)
    client.connection.request("POST", path + "/start")
    return client


def first_come(env):
    """waiting starts are served first come, first served, and show their place"""
    with env.started() as holder:
        paths = [env.create() for _ in range(4)]
        served, waiters = [], []

        def wait(path):
            status, text = env.request("POST", path + "/start")
            served.append(path)
            return status, text
        for place, path in enumerate(paths, 1):
            waiters.append(Background(wait, path))
            until(lambda p=path: info(env, p)["queue_position"] is not None, 10)
            seen = info(env, path)
            yield want("place", (seen["status"], seen["state"], seen["queue_position"]), ("created", "queued", place))
        yield want("phase", info(env, paths[0])["progress"]["phase"], "queued")
        for method, path in (("POST", holder + "/exec"), ("GET", "/sandboxes")):
            begun = time.monotonic()
            env.request(method, path, {"command": "true"} if method == "POST" else None)
            if time.monotonic() - begun > 1:
                yield f"{path} took {time.monotonic() - begun:.1f} s while starts wait"
        env.request("POST", holder + "/stop")
        for number, path in enumerate(paths):
            waiters[number].join(60)
            yield want("start", waiters[number].result, (200, ""))
            env.request("DELETE", path)
        yield want("order", served, paths)


def bound(env):
    """beyond the queue's bound a start is 503 with Retry-After, and works later"""
    with env.started() as holder:
        paths = [env.create() for _ in range(7)]
        clients = [begin_start(env, path) for path in paths[:6]]
        until(lambda: all(info(env, path)["state"] == "queued" for path in paths[:6]), 10)
        late = begin_start(env, paths[6])
        answer = late.connection.getresponse()
        yield want("beyond", (answer.status, bool(answer.getheader("Retry-After"))), (503, True))
        answer.read()
        for client in clients:
            client.close()
        yield want("given up", until(lambda: all(info(env, path)["state"] == "created" for path in paths), 10), True)
        env.request("POST", holder + "/stop")
        yield want("later", env.request("POST", paths[6] + "/start"), (200, ""))
        for path in paths:
            env.request("DELETE", path)


def vanished_waiter(env):
    """a client that goes away while it waits frees its place"""
    with env.started() as holder:
        gone, stays = env.create(), env.create()
        client = begin_start(env, gone)
        until(lambda: info(env, gone)["queue_position"] == 1, 10)
        waiter = Background(env.request, "POST", stays + "/start")
        until(lambda: info(env, stays)["queue_position"] == 2, 10)
        client.close()
        yield want("moved up", until(lambda: info(env, stays)["queue_position"] == 1, 5), True)
        yield want("left", (info(env, gone)["state"], info(env, gone)["queue_position"]), ("created", None))
        env.request("POST", holder + "/stop")
        waiter.join(60)
        yield want("the other", waiter.result, (200, ""))
        env.request("POST", stays + "/stop")
        yield want("and again", env.request("POST", gone + "/start"), (200, ""))
        for path in (gone, stays):
            env.request("DELETE", path)


def stopped_waiter(env):
    """stop of a sandbox whose start waits ends the wait"""
    with env.started():
        path = env.create()
        waiter = Background(env.request, "POST", path + "/start")
        until(lambda: info(env, path)["queue_position"] == 1, 10)
        yield want("stop", env.request("DELETE", path), (200, ""))
        waiter.join(10)
        yield want_error("the start", waiter.result, 400)


def deadlines(env):
    """a start may bound its wait"""
    with env.started():
        path = env.create()
        yield want_error("at once", env.request("POST", path + "/start", {"queue_timeout_ms": -1}), 504)
        begun = time.monotonic()
        yield want_error("after a while", env.request("POST", path + "/start", {"queue_timeout_ms": 300}), 504)
        if not 0.25 < time.monotonic() - begun < 5:
            yield f"took {time.monotonic() - begun:.1f} s"
        answer = env.request("POST", path + "/start", {"queue_timeout_ms": "1"})
        yield want_error("wrong", answer, 400, "queue_timeout_ms")
        env.request("DELETE", path)


TESTS = [first_come, bound, vanished_waiter, stopped_waiter, deadlines]
