# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program: options, ports, signals, logs, an Engine that is not there."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

from support import Background, Environment, Server, finish, until, want, want_error

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@contextlib.contextmanager
def environment(options):
    with tempfile.TemporaryDirectory() as directory:
        env = Environment(options, None)
        env.options = options
        env.directory = directory
        yield env


class Logged:
    """A server whose stderr is read."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def __enter__(self):
        self.found = until(lambda: self.line("listening on") or self.process.poll() is not None)
        return self

    def __exit__(self, *exception):
        self.stop()

    def line(self, part):
        return next((line for line in list(self.lines) if part in line), None)

    def stop(self, number=signal.SIGTERM, seconds=40):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.reader.join(5)
        return status


def usage(env):
    """--help and --version are 0 on stdout; a wrong command line is one line on stderr and 2"""
    for option, words in (("--help", ("--port", "Examples", "sos-server --")), ("-h", ("--token-file",)),
                          ("--version", ("sos-server ",))):
        status, out, err = finish(env.program, option)
        yield want(option, (status, err, [w for w in words if w not in out]), (0, "", []))
    for arguments in (["--bogus"], ["-x"], ["extra"], ["--port"], ["--port", "x"], ["--port", "65536"],
                      ["--port", "-1"],
                      ["--port", "3000x"], ["-m", "0"], ["-m", "ten"], ["--timeout", "0"], ["--memory", "lots"],
                      ["--memory", "1"],
                      ["--pids", "2"], ["--cpus", "none"], ["--cpus", "1025"], ["--network", "host"],
                      ["--transport", "carrier"], ["--log-level", "all"],
                      ["--log-format", "xml"], ["--listen", "nowhere"], ["--listen", "::1"],
                      ["--allow-origin", "example"],
                      ["--insecure=yes"]):
        status, out, err = finish(env.program, *arguments)
        if (status, out) != (2, "") or err.count("\n") != 1 or not err.startswith("sos-server: ") or len(err) < 30:
            yield f"{arguments}: {status} {out!r} {err!r}"


def ready_line(env):
    """one line says where it listens; port 0 is any free one"""
    with Logged(env.program, "--port", "0", "-m", "3", "--log-level", "error") as server:
        line = server.line("listening on") or ""
        match = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+) \(pool server-(\d+), 3 sandboxes\)\n", line)
        if not match or match[1] != match[2] or match[1] == "0":
            yield f"it says {line!r}"
        else:
            with socket.create_connection(("127.0.0.1", int(match[1])), timeout=5):
                pass
        yield want("exit", server.stop(), 0)
    with Logged(env.program, "--port", "0", "--pool", "contract-named") as server:
        if "(pool contract-named, 10 sandboxes)" not in (server.line("listening on") or ""):
            yield f"with --pool it says {server.lines}"


def taken_port(env):
    """a port that is taken ends it with 1 before anything else is touched"""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        status, _, err = finish(env.program, "--port", port)
    yield want("status", status, 1)
    if port not in err or "in use" not in err or err.count("\n") != 1:
        yield f"it says {err!r}"


def taken_pool(env):
    """a pool that another server owns ends it with 1 and the owner's pid"""
    with Logged(env.program, "--port", "0", "--pool", "contract-shared") as first:
        status, _, err = finish(env.program, "--port", "0", "--pool", "contract-shared")
        yield want("status", status, 1)
        if str(first.process.pid) not in err or "contract-shared" not in err:
            yield f"it says {err!r}"


def signals(env):
    """SIGTERM, SIGINT and SIGHUP end running commands, answer who waits, remove the containers, exit 0"""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        server = Server(env.program, "-m", "1", "--log-level", "error")
        server.wait_ready()
        try:
            status, answer = server.request("POST", "/sandboxes", {"image": env.image, "network": "none"})
            path = "/sandboxes/" + answer["id"]
            yield want("start", server.request("POST", path + "/start"), (200, ""))
            container = server.request("GET", path)[1]["container_id"]
            waiting = "/sandboxes/" + server.request("POST", "/sandboxes", {"image": env.image})[1]["id"]
            running = Background(server.request, "POST", path + "/exec", {"command": "sleep 60"})
            queued = Background(server.request, "POST", waiting + "/start")
            until(lambda: server.request("GET", path)[1]["session_busy"] and
                  server.request("GET", waiting)[1]["state"] == "queued", 10)
            server.process.send_signal(number)
            begun = time.monotonic()
            yield want(f"exit after {number.name}", server.process.wait(40), 0)
            if time.monotonic() - begun > 20:
                yield f"took {time.monotonic() - begun:.1f} s"
            for what, call in (("running", running), ("waiting", queued)):
                call.join(5)
                answered = isinstance(call.result, tuple)
                yield want_error(what, call.result, 503, "shutting down") if answered else repr(call.result)
            yield want("container", engine("GET", f"/containers/{container}/json"), 404)
        finally:
            if server.process.poll() is None:
                server.process.kill()


def suspended(env):
    """a server that was stopped and continued goes on"""
    with Server(env.program, "-m", "1", "--log-level", "error") as server:
        for _ in range(3):
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
            server.process.send_signal(signal.SIGCONT)
            time.sleep(0.2)
            yield want("alive", server.process.poll(), None)
            yield want("answers", server.request("GET", "/healthz")[0], 200)


def engine(method, path):
    """The status of a request to the Engine."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(ENGINE)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(64).split()[1])


def left_of(pool):
    """Names of the pool's containers and networks that the Engine still has."""
    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(20)
            self.sock.connect(ENGINE)

    filters = urllib.parse.quote(json.dumps({"label": [f"sos.pool={pool}"]}))
    names = []
    for path in ("/containers/json?all=1&", "/networks?"):
        connection = Connection("engine")
        connection.request("GET", f"{path}filters={filters}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        names += [thing.get("Name") or thing["Names"][0] for thing in answer]
    return names


def signal_during_starts(env):
    """a SIGTERM at any moment of a first start on a fresh pool leaves neither a container nor a network"""
    seen, pools = 0, [f"contract-leak-{os.getpid()}-{attempt}" for attempt in range(16)]
    for attempt, pool in enumerate(pools):
        server = Server(env.program, "--pool", pool, "--log-level", "error")
        server.wait_ready()
        try:
            path = Environment(env.options, server).create(network="bridge")
            start = Background(server.request, "POST", path + "/start")
            # The moment is what is tried: 0 to 150 ms cover create, start and what the session's birth takes.
            time.sleep(0.01 * attempt)
            server.process.send_signal(signal.SIGTERM)
            yield want(f"exit after {10 * attempt} ms", server.process.wait(60), 0)
            start.join(5)
            seen += isinstance(start.result, tuple) and start.result[0] in (200, 503)
            yield want(f"left after {10 * attempt} ms", left_of(pool), [])
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
    # Once more: what the Engine was still making when the server ended shows only later.
    yield want("left at the end", [name for pool in pools for name in left_of(pool)], [])
    if seen < 8:
        yield f"only {seen} of 16 starts had reached the server"


def second_signal(env):
    """what does not end holds the end up for a while; a second signal ends it at once"""
    for second in (False, True):
        with Logged(env.program, "--port", "0") as server:
            port = int(re.search(r":(\d+) ", server.line("listening"))[1])
            with socket.create_connection(("127.0.0.1", port)) as client:
                # A body that does not come keeps its request running.
                client.sendall(b"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\n"
                               b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
                yield want("the body is waited for", client.recv(64)[:12], b"HTTP/1.1 100")
                server.process.send_signal(signal.SIGTERM)
                yield want("said", until(lambda: server.line("shutting down"), 5), True)
                begun = time.monotonic()
                if second:
                    server.process.send_signal(signal.SIGTERM)
                yield want("status", server.process.wait(30), 1 if second else 0)
                took = time.monotonic() - begun
                if took > 2 if second else not 2 < took < 15:
                    yield f"{'two signals' if second else 'one signal'}: took {took:.1f} s"


def no_engine(env):
    """it comes up without an Engine, says so, and recovers by itself when one appears"""
    path = os.path.join(env.directory, "engine.sock")
    with Logged(env.program, "--port", "0", "--engine", "unix://" + path, "--pool", "contract-late") as logged:
        match = re.search(r":(\d+) ", logged.line("listening on") or "")
        if not match:
            yield f"it does not listen: {logged.lines}"
            return
        client = Server.__new__(Server)
        client.port = int(match[1])
        yield want("/healthz", client.request("GET", "/healthz")[0], 200)
        yield want_error("/readyz", client.request("GET", "/readyz"), 503, path)
        if not until(lambda: logged.line(path), 10):
            yield f"the log says nothing of it: {logged.lines}"
        status, answer = client.request("POST", "/sandboxes", {"image": env.image, "network": "none"})
        yield want("create", status, 200)
        target = "/sandboxes/" + answer["id"]
        status, text = client.request("POST", target + "/start")
        if status not in (500, 503) or path not in text:
            yield f"start: {status} {text!r}"
        os.symlink(ENGINE, path)
        yield want("ready", until(lambda: client.request("GET", "/readyz")[0] == 200, 20), True)
        yield want("start", client.request("POST", target + "/start"), (200, ""))
        yield want("exec", client.request("POST", target + "/exec", {"command": "echo up"})[1]["output"], "up")
        yield want("delete", client.request("DELETE", target), (200, ""))
        yield want("exit", logged.stop(), 0)


def logs(env):
    """events are one line each with the sandbox's id, as text or JSON; secrets are not in them"""
    secret = "hunter2-secret"
    tokens = os.path.join(env.directory, "log-tokens")
    with open(tokens, "w") as file:
        file.write(secret + "-token\n")
    for form in ("text", "json"):
        with Logged(env.program, "--port", "0", "--log-level", "debug", "--log-format", form) as logged:
            client = Server.__new__(Server)
            client.port = int(re.search(r":(\d+) ", logged.line("listening on"))[1])
            status, answer = client.request("POST", "/sandboxes", {"image": env.image, "network": "none",
                                                                   "environment": {"PASSWORD": secret}})
            target = "/sandboxes/" + answer["id"]
            client.request("POST", target + "/start")
            client.request("POST", target + "/exec", {"command": f"echo {secret}-command $PASSWORD"})
            client.request("DELETE", target)
            logged.stop()
        whole = "".join(logged.lines)
        if secret in whole:
            yield f"{form}: a secret is in the log"
        about = [line for line in logged.lines if answer["id"] in line]
        if len(about) < 5:
            yield f"{form}: few lines name the sandbox: {about}"
        for line in logged.lines:
            if form == "json":
                event = json.loads(line)
                if not {"time", "level", "message"} <= set(event):
                    yield f"json: {line!r}"
            elif not line.startswith("listening on") and not re.match(
                    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) ", line):
                yield f"text: {line!r}"
        started = [line for line in about if "started" in line]
        wanted = f'"sandbox":"{answer["id"]}"' if form == "json" else f"sandbox={answer['id']} "
        if not started or wanted not in started[0]:
            yield f"{form}: started is {started}"


TESTS = [usage, ready_line, taken_port, taken_pool, signals, suspended, signal_during_starts, second_signal, no_engine, logs]
