# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the contract share. A test yields what is wrong; nothing means that it holds."""

import contextlib
import json
import re
import socket
import subprocess
import threading
import time

from sos_server import Client, Server

UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class Environment:
    """A running server and the image to use."""

    def __init__(self, options, server):
        self.program = options.server
        self.image = options.image
        self.server = server
        self.port = server.port if server else None
        self.request = server.request if server else None

    def create(self, **spec):
        status, answer = self.request("POST", "/sandboxes", {"image": self.image, "network": "none", **spec})
        assert status == 200, (status, answer)
        return "/sandboxes/" + answer["id"]

    @contextlib.contextmanager
    def started(self, **spec):
        path = self.create(**spec)
        try:
            status, answer = self.request("POST", path + "/start")
            assert status == 200, (status, answer)
            yield path
        finally:
            self.request("DELETE", path)

    def run(self, path, command, **more):
        status, answer = self.request("POST", path + "/exec", {"command": command, **more})
        assert status == 200, (status, answer)
        return answer


@contextlib.contextmanager
def serving(options, *arguments):
    with Server(options.server, "--log-level", "error", *arguments) as server:
        yield Environment(options, server)


def want(what, got, wanted):
    return None if got == wanted else f"{what} is {got!r}, want {wanted!r}"


def want_error(what, answer, status, *words):
    """The status, and one line of text that names what is wrong."""
    got, text = answer
    if got != status:
        return f"{what}: status {got} ({text!r}), want {status}"
    if not isinstance(text, str) or not text.endswith("\n") or text.count("\n") != 1 or len(text) < 4:
        return f"{what}: the text is not one line: {text!r}"
    missing = [word for word in words if word not in text]
    return f"{what}: {text!r} does not say {missing}" if missing else None


def raw(port, data, seconds=20, close_writing=False):
    """Send bytes, read until the server closes; what came (headers and all)."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        got = b""
        try:
            connection.sendall(data)
            if close_writing:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                got += piece
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
        return got


def statuses(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def post(port, path, body, *headers, method="POST"):
    """A request as bytes, for what a client library would not send."""
    if isinstance(body, str):
        body = body.encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", "Content-Type: application/json",
             f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def send(port, path, body, *headers, method="POST"):
    """(status, text) of a body that is given as bytes."""
    answer = raw(port, post(port, path, body, *headers, method=method))
    head, _, text = answer.partition(b"\r\n\r\n")
    codes = statuses(head)
    return (codes[-1] if codes else None), text.decode("utf-8", "replace")


def until(condition, seconds=20):
    """Poll for what only shows from outside; true as soon as it holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Background(threading.Thread):
    """A call on a thread of its own; .result after .join()."""

    def __init__(self, call, *arguments):
        super().__init__(daemon=True)
        self.call, self.arguments, self.result = call, arguments, None
        self.start()

    def run(self):
        try:
            self.result = self.call(*self.arguments)
        except Exception as error:
            self.result = error


def finish(program, *arguments, seconds=20, **more):
    """Run to the end: (exit status, stdout, stderr)."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=seconds, **more)
    return done.returncode, done.stdout, done.stderr


__all__ = ["UUID", "Background", "Client", "Environment", "Server", "finish", "json", "post", "raw", "send", "serving",
           "statuses", "until", "want", "want_error"]
