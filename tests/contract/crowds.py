# SPDX-License-Identifier: LGPL-2.1-or-later
"""More clients than threads, slow ones, and what they may not take from others. On the real Engine."""

import collections
import contextlib
import json
import os
import re
import resource
import select
import shutil
import socket
import tempfile
import threading
import time

from support import Background, Client, Environment, Server, raw, serving, statuses, until, want, want_error

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
SLOW_BODY = b"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
PROMPT = 1  # s that a request of somebody else may take


@contextlib.contextmanager
def environment(options):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, limits[1]), limits[1]))
    with serving(options, "-m", "4") as env:
        env.options = options
        yield env
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def crowd(env, count, data=b""):
    """That many connections which send `data` and then nothing."""
    connections = []
    try:
        for _ in range(count):
            connections.append(socket.create_connection(("127.0.0.1", env.port), timeout=10))
            with contextlib.suppress(OSError):  # closed already
                connections[-1].sendall(data)
        yield list(connections)
    finally:
        for connection in connections:
            connection.close()


def answers(connections, seconds):
    """How many got which status (None: closed without one, "open": nothing yet); those are left in the list."""
    found, waiting = {}, set(connections)
    end = time.monotonic() + seconds
    while waiting and time.monotonic() < end:
        poll = select.poll()
        by_number = {connection.fileno(): connection for connection in waiting}
        for number in by_number:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(100):
            try:
                found[number] = (statuses(by_number[number].recv(4096)) or [None])[0]
            except OSError:
                found[number] = None
            waiting.discard(by_number[number])
    connections[:] = waiting
    return collections.Counter([*found.values(), *["open"] * len(waiting)])


def others_are_served(env, path, rounds=5):
    for _ in range(rounds):
        for method, target, body in (("GET", "/healthz", None), ("POST", path + "/exec", {"command": "echo x"})):
            begun = time.monotonic()
            yield want(target, env.request(method, target, body, timeout=30)[0], 200)
            took = time.monotonic() - begun
            if took > PROMPT:
                yield f"{target} took {took:.1f} s"


def slow_bodies(env):
    """300 bodies that stop coming keep nobody out and end with 408, or 503 where there were too many"""
    with env.started() as path, crowd(env, 300, SLOW_BODY) as connections:
        # In the first tenth of a second nobody knows yet which of them are slow.
        until(lambda: env.request("POST", path + "/exec", {"command": "true"})[0] == 200, PROMPT)
        yield from others_are_served(env, path)
        got = answers(connections, 15)
        if set(got) - {408, 503} or not got[408]:
            yield f"they got {got}"


def slow_bodies_and_idle(env):
    """300 such bodies and 2,000 silent connections keep nobody out"""
    with env.started() as path, crowd(env, 300, SLOW_BODY), crowd(env, 2000) as idle:
        yield from others_are_served(env, path)
        got = answers(idle, 15)
        if set(got) - {None, "open"}:
            yield f"the silent ones got {got}"


def unread_bodies(env):
    """bodies that nobody wants and that stop coming keep nobody out"""
    with env.started() as path, crowd(env, 300, SLOW_BODY.replace(b"/sandboxes", b"/nope")):
        yield from others_are_served(env, path)


def dripping(env):
    """heads and bodies that come a byte at a time, without end, keep nobody out"""
    half = b"GET /healthz HTTP/1.1\r\nX: "
    with env.started() as path, crowd(env, 150, SLOW_BODY) as bodies, crowd(env, 150, half) as heads:
        done = threading.Event()

        def drip():
            while not done.wait(0.1):
                for connection in bodies + heads:
                    with contextlib.suppress(OSError):
                        connection.send(b"x")
        dripper = Background(drip)
        try:
            yield from others_are_served(env, path)
        finally:
            done.set()
            dripper.join()


def slow_readers(env):
    """600 clients that ask for much and take none of it keep nobody out"""
    with env.started() as path:
        env.run(path, "head -c 16000000 /dev/zero | tr '\\0' x", exec_id="much", max_output_bytes=1 << 25)
        request = f"GET {path}/exec/much HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with crowd(env, 600, request):
            until(lambda: env.request("POST", path + "/exec", {"command": "true"})[0] == 200, 3)
            yield from others_are_served(env, path)


def slow_but_steady(env):
    """a body that comes slowly and comes is taken"""
    body = b'{"image": "x"' + b" " * 60000 + b"}"
    head = (f"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", env.port), timeout=10) as connection:
        connection.sendall(head.encode())
        for start in range(0, len(body), 5000):
            connection.sendall(body[start:start + 5000])
            time.sleep(0.5)  # the pace is what is tested
        yield want("status", statuses(connection.recv(4096)), [200])


def exec_request(path, **body):
    text = json.dumps(body)
    return (f"POST {path}/exec HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n"
            f"Connection: close\r\n\r\n{text}").encode()


def read_all(connection):
    """(status, decoded body) of an answer that ends with the connection."""
    got = b""
    connection.settimeout(60)
    while piece := connection.recv(65536):
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    return statuses(head)[-1], json.loads(body) if b"application/json" in head else body.decode()


def many_on_one(env):
    """200 commands at once on one session are all answered, first come, first served"""
    with env.started() as path, contextlib.ExitStack() as stack:
        env.run(path, "n=0")
        connections = []
        for number in range(200):
            command = "until [ -e /tmp/go ]; do sleep 0.01; done; echo 0" if number == 0 else "echo $((n = n + 1))"
            connections.append(socket.create_connection(("127.0.0.1", env.port), timeout=10))
            stack.enter_context(connections[-1])
            connections[-1].sendall(exec_request(path, command=command, exec_id=f"many-{number}"))
            # Two that are on their way may overtake each other; one that is known has its place.
            known = f"{path}/exec/many-{number}?wait_ms=0"
            if not until(lambda: env.request("GET", known)[0] == 202):
                yield f"command {number} is {env.request('GET', known)}"
        yield from others_are_answered(env, path)
        env.run(path, "touch /tmp/go", standalone=True)
        answers = [read_all(connection) for connection in connections]
        yield want("statuses", collections.Counter(status for status, _ in answers), {200: 200})
        yield want("outputs", [answer["output"] for _, answer in answers], [str(number) for number in range(200)])


def others_are_answered(env, path):
    """What does not wait for that session."""
    for method, target, body in (("GET", "/healthz", None), ("GET", "/sandboxes", None), ("GET", path, None),
                                 ("POST", path + "/exec", {"command": "echo x", "standalone": True})):
        begun = time.monotonic()
        yield want(target, env.request(method, target, body, timeout=30)[0], 200)
        if time.monotonic() - begun > PROMPT:
            yield f"{target} took {time.monotonic() - begun:.1f} s"


def readable(connections):
    """Those that have an answer."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    ready = {number for number, _ in poll.poll(0)}
    return [connection for connection in connections if connection.fileno() in ready]


def flood_of_one(env):
    """600 commands at once on one session: some run, in order, the rest is 503; other sandboxes are served"""
    with env.started() as flooded, env.started() as other:
        env.run(flooded, "n=0")
        with crowd(env, 600, exec_request(flooded, command="n=$((n + 1)); echo $n; sleep 0.02")) as connections:
            until(lambda: len(readable(connections)) > 200)
            yield from others_are_served(env, other)
            waiting = len(connections) - len(readable(connections))
            if waiting < 50:
                yield f"only {waiting} were waiting while the others were served"
            got = [read_all(connection) for connection in connections]
        refused = [answer for answer in got if answer[0] != 200]
        for answer in refused:
            yield want_error("the rest", answer, 503, "this sandbox")
        numbers = sorted(int(answer["output"]) for status, answer in got if status == 200)
        yield want("the numbers", numbers, list(range(1, len(numbers) + 1)))
        if len(numbers) < 200:
            yield f"only {len(numbers)} ran"
        yield want("afterwards", env.run(flooded, "echo $n")["output"], str(len(numbers)))


def retry_after(env):
    """the 503 says when to try again"""
    with env.started() as path, crowd(env, 600, exec_request(path, command="sleep 5")) as connections:
        until(lambda: readable(connections), 5)
        texts = [connection.recv(4096) for connection in readable(connections)]
        yield want("statuses", {code for text in texts for code in statuses(text)}, {503})
        wrong = [text for text in texts if b"\r\nRetry-After: 1\r\n" not in text]
        if wrong:
            yield f"no Retry-After in {wrong[0]!r}"


def waiting_starts(env):
    """a hundred times as many starts waiting as there are places lock out neither commands nor stops"""
    with Server(env.program, "-m", "2", "--max-waiting", "200", "--log-level", "error") as server:
        own = Environment(env.options, server)
        with own.started() as busy, own.started() as stopped, contextlib.ExitStack() as stack:
            paths = [own.create() for _ in range(200)]
            for path in paths:
                connection = socket.create_connection(("127.0.0.1", own.port), timeout=10)
                stack.enter_context(connection)
                connection.sendall(f"POST {path}/start HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            if not until(lambda: all(s["state"] == "queued" for s in own.request("GET", "/sandboxes")[1]
                                     if "/sandboxes/" + s["id"] in paths)):
                yield "not all of them wait"
            yield from others_are_served(own, busy)
            yield want("stop", own.request("POST", stopped + "/stop")[0], 200)
            if not until(lambda: own.request("GET", paths[0])[1]["state"] == "started", 20):
                yield f"the first is {own.request('GET', paths[0])[1]['state']}"
            stack.close()
            if not until(lambda: all(s["state"] != "queued" for s in own.request("GET", "/sandboxes")[1])):
                yield "some still wait though their clients are gone"


def ended_while_many_wait(env):
    """a SIGTERM while 200 commands wait answers all of them and exits 0"""
    with Server(env.program, "-m", "2", "--log-level", "error") as server:
        own = Environment(env.options, server)
        path = own.create()
        yield want("start", own.request("POST", path + "/start")[0], 200)
        with crowd(own, 200, exec_request(path, command="sleep 20")) as connections:
            last = f"{path}/exec/last?wait_ms=0"
            with crowd(own, 1, exec_request(path, command="true", exec_id="last")) as more:
                until(lambda: own.request("GET", last)[0] == 202)
                server.process.terminate()
                got = [read_all(connection) for connection in connections + more]
        yield want("statuses", collections.Counter(status for status, _ in got), {503: 201})
        yield want("exit", server.process.wait(40), 0)


class Relay:
    """A socket in front of the Engine's, which can stop passing anything on."""

    def __init__(self, path):
        self.flows = threading.Event()
        self.flows.set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        Background(self.accept)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(ENGINE)
                Background(self.copy, client, engine)
                Background(self.copy, engine, client)

    def copy(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flows.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def silent_engine(env):
    """stops that wait for an Engine which does not answer leave threads to others"""
    directory = tempfile.mkdtemp()
    relay = Relay(os.path.join(directory, "engine"))
    try:
        with Server(env.program, "-m", "4", "--log-level", "error",
                    "--engine", f"unix://{directory}/engine") as server:
            own = Environment(env.options, server)
            with own.started() as path:
                relay.flows.clear()
                request = f"DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
                with crowd(own, 300, request) as connections:
                    for _ in range(5):
                        begun = time.monotonic()
                        yield want("/healthz", own.request("GET", "/healthz")[0], 200)
                        yield want("the list", own.request("GET", "/sandboxes")[0], 200)
                        if time.monotonic() - begun > PROMPT:
                            yield f"they took {time.monotonic() - begun:.1f} s"
                    waiting = answers(connections, 0.1)
                    if not waiting["open"] or set(waiting) - {"open", 503}:
                        yield f"the stops got {waiting}"
                    relay.flows.set()
                    left = answers(connections, 30)
                    if set(left) - {200, 404}:
                        yield f"in the end the stops got {left}"
    finally:
        relay.flows.set()
        relay.listener.close()
        shutil.rmtree(directory)


def foreign_targets(env):
    """targets that are not paths of this server are 400, also after other requests"""
    good = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for target in ("GET http://evil.example/sandboxes", "GET http://evil.example:80/", "OPTIONS *", "GET *",
                   f"GET http://localhost:{env.port}/healthz", "GET https://localhost/", "CONNECT evil.example:80",
                   "GET healthz"):
        got = statuses(raw(env.port, f"{good}{target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()))
        yield want(target, got, [200, 400])


def foreign_ports(env):
    """a Host whose port is none is refused"""
    for port, status in (("65535", 200), ("", 200), ("65536", 403), ("99999999", 403), ("99999999999999999999", 403)):
        got = raw(env.port, f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
        yield want(port, statuses(got), [status])


# AddressSanitizer keeps freed memory, and a stack for each way that led to an allocation, for its reports; both grow
# for hours. Without them what the server holds shows in its build too.
PLAIN_HEAP = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:"
              "thread_local_quarantine_size_kb=0:malloc_context_size=1"}


def memory(env):
    """what sandboxes took is given back: many cycles need no more memory than a few"""
    with Server(env.program, "-m", "4", "--log-level", "error", environment=PLAIN_HEAP) as server:
        own = Environment(env.options, server)

        def read(name):
            with open(f"/proc/{server.process.pid}/{name}") as file:
                return file.read()

        def own_kib():
            return int(re.search(r"RssAnon:\s+(\d+)", read("status"))[1])

        def cycles(count):
            for _ in range(count):
                with own.started() as path:
                    own.run(path, "true")
        # Its heap also has a cache for each thread, which a connection takes one of, and nothing turns that off.
        kept = Client(server.port) if "libasan" in read("maps") else None
        own.request = kept.request if kept else server.request
        cycles(60 if kept else 20)
        before = own_kib()
        cycles(40)
        after = own_kib()
        if after > before + 100:  # it was 4 KiB a cycle
            yield f"40 sandboxes more: from {before} to {after} KiB"
        if kept:
            kept.close()


TESTS = [slow_bodies, slow_bodies_and_idle, unread_bodies, dripping, slow_readers, slow_but_steady, many_on_one,
         flood_of_one, retry_after, waiting_starts, ended_while_many_wait, silent_engine, foreign_targets, foreign_ports,
         memory]
