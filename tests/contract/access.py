# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may ask: Host, Origin, tokens, addresses. No container is started."""

import contextlib
import os
import socket
import tempfile

from support import Server, finish, raw, serving, statuses, until, want, want_error


@contextlib.contextmanager
def environment(options):
    with tempfile.TemporaryDirectory() as directory, serving(options, "--allow-host", "sos.example",
                                                             "--allow-origin", "https://ui.example") as env:
        env.directory = directory
        yield env


def ask(port, *headers, path="/healthz", method="GET"):
    lines = "".join(f"{header}\r\n" for header in headers)
    return raw(port, f"{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())


def hosts(env):
    """on a loopback address only names of this machine are served, and those that were allowed"""
    for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST", "sos.example"):
        for port in ("", ":3000", f":{env.port}"):
            yield want(host + port, statuses(ask(env.port, f"Host: {host}{port}")), [200])
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:80@evil.example",
                 "sos.example.",
                 "127.0.0.2", "0.0.0.0", "", "localhost:x", "[::1"):
        yield want(repr(host), statuses(ask(env.port, f"Host: {host}")), [403])


def origins(env):
    """a request with an Origin that was not allowed is refused, whatever it asks"""
    for origin in ("https://evil.example", "null", "http://localhost", f"http://127.0.0.1:{env.port}",
                   "https://ui.example.evil"):
        for method, path in (("GET", "/healthz"), ("GET", "/sandboxes"), ("POST", "/sandboxes"),
                             ("OPTIONS", "/sandboxes")):
            got = ask(env.port, "Host: localhost", f"Origin: {origin}", path=path, method=method)
            yield want(f"{origin} {method} {path}", statuses(got), [403])
    got = ask(env.port, "Host: localhost", "Origin: https://ui.example", path="/sandboxes")
    yield want("allowed", statuses(got), [200])
    if b"Access-Control-Allow-Origin: https://ui.example\r\n" not in got:
        yield "the allowed origin is not named in the answer"
    got = ask(env.port, "Host: localhost", "Origin: https://ui.example", path="/sandboxes", method="OPTIONS")
    yield want("preflight", statuses(got), [204])


def tokens(env):
    """with a token file every request but /healthz needs one of its tokens"""
    path = os.path.join(env.directory, "tokens")
    with open(path, "w") as file:
        file.write("# ours\nfirst-token\n\n  second-token \r\n")
    server = Server(env.program, "--token-file", path, "--log-level", "error")
    try:
        def get(*headers, path="/sandboxes"):
            return statuses(ask(server.port, "Host: localhost", *headers, path=path))
        if not until(lambda: listens(server.port) and
                     get("Authorization: Bearer first-token", path="/readyz") == [200]):
            yield "the server is not ready"
        yield want("/healthz", get(path="/healthz"), [200])
        yield want("/readyz", get(path="/readyz"), [401])
        for header in ("Authorization: Bearer first-token", "authorization: bearer second-token",
                       "Authorization: Bearer  first-token "):
            yield want(header, get(header), [200])
        for header in ("X: y", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: first-token",
                       "Authorization: Basic first-token", "Authorization: Bearer first-toke",
                       "Authorization: Bearer first-tokenx",
                       "Authorization: Bearer first-token second-token", "Authorization: Bearer # ours",
                       "Authorization: Bearer FIRST-TOKEN", "Authorization: Bearer " + "x" * 5000):
            yield want(header[:60], get(header), [401])
        got = ask(server.port, "Host: localhost", path="/sandboxes")
        if b"WWW-Authenticate: Bearer\r\n" not in got:
            yield "401 does not say WWW-Authenticate"
    finally:
        server.stop()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def token_files(env):
    """a token file that is missing or empty ends the server with a line that names it"""
    empty = os.path.join(env.directory, "empty")
    with open(empty, "w") as file:
        file.write("\n# nothing\n")
    for path in (empty, os.path.join(env.directory, "missing"), env.directory):
        status, _, text = finish(env.program, "--port", "0", "--token-file", path)
        yield want(f"status with {path}", status, 1)
        if path not in text or text.count("\n") != 1:
            yield f"{path}: {text!r}"


def other_addresses(env):
    """on another address a token or --insecure is needed, and every Host is served"""
    status, _, text = finish(env.program, "--port", "0", "--listen", "0.0.0.0")
    yield want("status", status, 2)
    if "--token-file" not in text or "--insecure" not in text or text.count("\n") != 1:
        yield f"it says {text!r}"
    with Server(env.program, "--listen", "0.0.0.0", "--insecure", "--log-level", "error") as server:
        yield want("any host", statuses(ask(server.port, "Host: whatever.example")), [200])
        yield want("origin", statuses(ask(server.port, "Host: x", "Origin: https://evil.example")), [403])
    with Server(env.program, "--listen", "0.0.0.0", "--insecure", "--allow-host", "only.example",
                "--log-level", "error") as server:
        yield want("allowed host", statuses(ask(server.port, "Host: only.example:1")), [200])
        yield want("another host", statuses(ask(server.port, "Host: whatever.example")), [403])


def errors_are_text(env):
    """refusals are one line of text"""
    yield want_error("404", env.request("GET", "/sandboxes/x"), 404, "x")
    got = ask(env.port, "Host: evil.example")
    if b"Content-Type: text/plain" not in got or not got.endswith(b"\n") or b"evil.example" not in got:
        yield f"403 is {got!r}"


TESTS = [hosts, origins, tokens, token_files, other_addresses, errors_are_text]
