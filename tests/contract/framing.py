# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTP itself: heads, bodies, connections. No container is started."""

import socket
import time

from support import Client, post, raw, send, serving, statuses, want, want_error

LIMIT = 64 << 20


def environment(options):
    return serving(options)


def health(env):
    """/healthz and /readyz answer 200"""
    for path in ("/healthz", "/readyz"):
        yield want(path, env.request("GET", path)[0], 200)


def unknown_paths(env):
    """what is not there is 404, a wrong method 405"""
    for path in ("/", "/nope", "/sandboxes/x/nope", "/sandboxes//start", "/sandboxes/a/b/c/d/e/f/g/h", "/sandboxes/"):
        yield want_error(path, env.request("GET", path), 404)
    for method, path in (("PUT", "/sandboxes"), ("DELETE", "/healthz"), ("GET", "/sandboxes/x/start")):
        yield want_error(f"{method} {path}", env.request(method, path), 405)


def path_escapes(env):
    """broken escapes and NUL in the path are 400, valid ones are decoded"""
    for path in ("/sandboxes/%00", "/sandboxes/%zz", "/sandboxes/%4", "/health%"):
        yield want_error(path, env.request("GET", path), 400)
    yield want("/health%7a", env.request("GET", "/health%7a")[0], 200)
    yield want("/sandboxes/..%2fhealthz", env.request("GET", "/sandboxes/..%2fhealthz")[0], 404)
    yield want("/sandboxes/../healthz", env.request("GET", "/sandboxes/../healthz")[0], 404)


def smuggling(env):
    """what two parsers read differently is 400 and ends the connection"""
    inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    heads = {
        "both framings": "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "two lengths": "Content-Length: 3\r\nContent-Length: 3",
        "two different lengths": "Content-Length: 0\r\nContent-Length: 44",
        "signed length": "Content-Length: +3",
        "length with letters": "Content-Length: 3x",
        "length list": "Content-Length: 3, 3",
        "hexadecimal length": "Content-Length: 0x3",
        "negative length": "Content-Length: -3",
        "unknown coding": "Transfer-Encoding: xchunked",
        "two codings": "Transfer-Encoding: gzip, chunked",
        "doubled coding": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "identity": "Transfer-Encoding: identity\r\nContent-Length: 3",
        "space before the colon": "Content-Length : 3",
        "folded header": "X-One: 1\r\n Content-Length: 3",
        "two hosts": "Host: localhost\r\nContent-Length: 0",
    }
    for name, head in heads.items():
        got = raw(env.port, f"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n{inner}".encode(),
                  close_writing=True)
        yield want(name, statuses(got), [400])


def bad_heads(env):
    """heads that are no HTTP, too long or too many are refused and the connection closed"""
    for name, data, allowed in (
            ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", ([400], [])),
            ("no version", b"GET /healthz\r\n\r\n", ([400],)),
            ("another version", b"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n", ([505], [400])),
            ("no host", b"GET /healthz HTTP/1.1\r\n\r\n", ([400],)),
            ("NUL", b"GET /heal\0thz HTTP/1.1\r\nHost: localhost\r\n\r\n", ([400],)),
            ("long path", b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", ([431], [414], [413])),
            ("long header", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
             ([431], [413])),
            ("many headers", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
             ([400], [431])),
            ("absolute target", b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", ([400], []))):
        got = statuses(raw(env.port, data, close_writing=True))
        if got not in allowed:
            yield f"{name}: statuses {got}"


def keep_alive(env):
    """a connection serves many requests, pipelined ones too; HTTP/1.0 closes"""
    one = f"GET /healthz HTTP/1.1\r\nHost: localhost:{env.port}\r\n\r\n".encode()
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    yield want("pipelined", statuses(raw(env.port, one * 5 + last)), [200] * 6)
    yield want("HTTP/1.0", statuses(raw(env.port, b"GET /healthz HTTP/1.0\r\n\r\n")), [200])
    client = Client(env.port)
    for _ in range(3):
        yield want("kept", client.request("GET", "/healthz")[0], 200)
        if client.connection.sock is None:
            yield "the connection was closed between requests"
    client.close()


def error_keeps_connection(env):
    """after an error whose body was read the connection goes on; an unread body is not taken for a request"""
    bad = post(env.port, "/sandboxes", "{").replace(b"Connection: close\r\n", b"")
    good = f"GET /healthz HTTP/1.1\r\nHost: localhost:{env.port}\r\nConnection: close\r\n\r\n".encode()
    yield want("error, then a request", statuses(raw(env.port, bad + good)), [400, 200])
    lost = post(env.port, "/nope", good.decode()).replace(b"Connection: close\r\n", b"", 1)
    yield want("a body like a request", statuses(raw(env.port, lost)), [404])


def head_requests(env):
    """HEAD gives the head of GET"""
    got = raw(env.port, f"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    yield want("status", statuses(got), [200])
    yield want("body", got.partition(b"\r\n\r\n")[2], b"")


def content_type(env):
    """a body is JSON: forms are 415, a missing type is taken as JSON, no body needs no type"""
    body = '{"image": "x"}'
    for given in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x",
                  "application/jsonx"):
        answer = raw(env.port, post(env.port, "/sandboxes", body).replace(b"application/json", given.encode()))
        yield want(given, statuses(answer), [415])
    for given in (b"application/json; charset=utf-8", b"Application/JSON"):
        answer = raw(env.port, post(env.port, "/sandboxes", body).replace(b"application/json", given))
        yield want(given, statuses(answer), [200])
    answer = raw(env.port, post(env.port, "/sandboxes", body).replace(b"Content-Type: application/json\r\n", b""))
    yield want("no type", statuses(answer), [200])
    without_body = post(env.port, "/sandboxes/x/start", "")
    answer = raw(env.port, without_body.replace(b"application/json", b"application/octet-stream"))
    yield want("a type without a body", statuses(answer), [404])
    answer = raw(env.port, post(env.port, "/sandboxes", body, "Content-Encoding: gzip"))
    yield want("gzip", statuses(answer), [415])


def chunked(env):
    """chunked bodies are taken; wrong chunks are 400"""
    head = (f"POST /sandboxes HTTP/1.1\r\nHost: localhost:{env.port}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()
    last = f"GET /healthz HTTP/1.1\r\nHost: localhost:{env.port}\r\nConnection: close\r\n\r\n".encode()
    fine = head + b'5\r\n{"ima\r\nA\r\nge": "xyz"\r\n1\r\n}\r\n0\r\n\r\n'
    yield want("chunks", statuses(raw(env.port, fine + last)), [200, 200])
    for bad in (b"5\r\n{}", b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}xx0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n",
                b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n"):
        yield want(bad, statuses(raw(env.port, head + bad, close_writing=True)), [400])
    yield want("no bytes", statuses(raw(env.port, head + b"0\r\n\r\n" + last)), [400, 200])


def large_bodies(env):
    """64 MiB are read, more is 413, announced or chunked"""
    pad = b" " * (LIMIT - 2) + b"{}"
    status, _ = send(env.port, "/sandboxes", pad)
    yield want("64 MiB", status, 200)
    yield want_error("64 MiB and one", send(env.port, "/sandboxes", pad + b" "), 413)
    announced = post(env.port, "/sandboxes", "").replace(b"Content-Length: 0", b"Content-Length: 99999999999")
    yield want("announced, not sent", statuses(raw(env.port, announced, close_writing=True)), [413])
    head = post(env.port, "/sandboxes", "").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    answer = raw(env.port, head + b"4000001\r\n" + pad + b" \r\n0\r\n\r\n")
    yield want("chunked", statuses(answer), [413])


def expect_continue(env):
    """Expect: 100-continue is answered before the body is waited for"""
    data = post(env.port, "/sandboxes", '{"image": "x"}', "Expect: 100-continue")
    head, _, body = data.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", env.port), timeout=5) as connection:
        connection.sendall(head + b"\r\n\r\n")
        yield want("first answer", statuses(connection.recv(4096)), [100])
        connection.sendall(body)
        yield want("second answer", statuses(connection.recv(4096)), [200])


def incomplete_body(env):
    """a body that ends early is 400 and nothing is made"""
    before = len(env.request("GET", "/sandboxes")[1])
    data = post(env.port, "/sandboxes", '{"image": "x"}')[:-3]
    got = statuses(raw(env.port, data, close_writing=True))
    if got not in ([400], []):
        yield f"statuses {got}"
    yield want("sandboxes", len(env.request("GET", "/sandboxes")[1]), before)


def slow_and_idle(env):
    """silent and slow connections do not keep others out"""
    idle = [socket.create_connection(("127.0.0.1", env.port)) for _ in range(400)]
    for i, connection in enumerate(idle):
        if i % 2:
            connection.sendall(b"POST /sandboxes HTTP/1.1\r\nHost: loc")
    begun = time.monotonic()
    status, _ = env.request("GET", "/healthz", timeout=25)
    took = time.monotonic() - begun
    yield want("/healthz", status, 200)
    if took > 15:
        yield f"/healthz took {took:.1f} s"
    for connection in idle:
        connection.close()


TESTS = [health, unknown_paths, path_escapes, smuggling, bad_heads, keep_alive, error_keeps_connection, head_requests,
         content_type, chunked, large_bodies, expect_continue, incomplete_body, slow_and_idle]
