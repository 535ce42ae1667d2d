# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that are not what they should be: cut connections, nonsense, older releases, slow pulls."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cli import Cli, Terminal, until

ID = "11111111-2222-4333-8444-555555555555"
OTHER = "11111111-aaaa-4333-8444-555555555555"


class Handler(BaseHTTPRequestHandler):
    """Answers by server.answers[method and path], a function of the handler and the body."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        key = f"{self.command} {self.path.split('?')[0]}"
        self.server.seen.append((key, json.loads(body) if body else None, dict(self.headers)))
        self.server.answers.get(key, lambda handler, _: handler.reply(404, "no such thing"))(self, body)

    do_GET = do_POST = do_DELETE = answer

    def reply(self, status, body=""):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cut(self, after=b""):
        self.wfile.write(after)
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(2)


class Fake(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.seen = answers, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # a client that went away, which is what the tests do


def check_cut(tap, cli):
    exec_path = f"POST /sandboxes/{ID}/exec"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"output\":"
    for name, after in ("before the answer", b""), ("in the middle of it", head):
        with Fake({exec_path: lambda handler, _, after=after: handler.cut(after)}) as fake:
            done = cli("sandbox", "exec", ID, "true", environment={"SOS_SERVER": fake.url})
            exec_id = fake.seen[0][1]["exec_id"]
            good = done.code == 125 and not done.out and f"sos sandbox result {ID} {exec_id}" in done.error
            tap.ok(good, f"exec: the connection is cut {name}", done)
            tap.ok(len(fake.seen) == 1, "and nothing is sent twice", fake.seen)


def check_nonsense(tap, cli):
    answers = {
        "POST /sandboxes": lambda handler, _: handler.reply(200, "<html>hello</html>"),
        "GET /sandboxes": lambda handler, _: handler.reply(200, {"not": "a list"}),
        f"GET /sandboxes/{ID}": lambda handler, _: handler.reply(200, "[1]"),
        f"POST /sandboxes/{ID}/exec": lambda handler, _: handler.reply(200, "{}"),
        f"POST /sandboxes/{OTHER}/exec": lambda handler, _: handler.reply(
            200, {"output": "!!", "exit_code": 0, "encoding": "base64"}),
        f"POST /sandboxes/{ID}/start": lambda handler, _: handler.reply(500),
        f"POST /sandboxes/{ID}/stop": lambda handler, _: handler.reply(401, "who are you"),
    }
    with Fake(answers) as fake:
        for arguments, words in (["create"], "sos server"), (["list"], "sos server"), (["info", ID], "sos server"), \
                (["exec", ID, "x"], "sos server"), (["exec", OTHER, "x"], "base64"), (["start", ID], "500"), \
                (["stop", ID], "--token-file"):
            done = cli("sandbox", *arguments, environment={"SOS_SERVER": fake.url})
            tap.ok(done.code == 125 and not done.out and words in done.error and len(done.error.splitlines()) == 1,
                   f"nonsense as the answer to {arguments[0]}", done)


def check_older(tap, cli):
    """A server that knows neither base64 nor our fields, and trims."""
    result = {"output": "one\ntwo", "stdout": "one\ntwo", "stderr": "", "exit_code": 3, "exited": False}
    answers = {
        f"POST /sandboxes/{ID}/exec": lambda handler, _: handler.reply(200, result),
        f"POST /sandboxes/{OTHER}/exec": lambda handler, _: handler.reply(504, "Command timed out"),
        "GET /sandboxes": lambda handler, _: handler.reply(200, [
            {"id": ID, "image": "a\x1b[31m", "setup_commands": "", "status": "created", "session_command_count": 0},
            {"id": OTHER, "image": "b", "setup_commands": "", "status": "exited", "session_command_count": 12}]),
    }
    with Fake(answers) as fake:
        older = Cli(cli.program, fake.url)
        done = older.exec(ID, "x")
        tap.ok(done.out == b"one\ntwo\n" and done.code == 3, "an older server's trimmed output ends in a newline", done)
        done = older.exec(OTHER, "x")
        tap.ok(done.code == 124 and "Command timed out" in done.error, "an older server's 504 is 124", done)
        done = older("sandbox", "list")
        rows = [line.split() for line in done.text.splitlines()]
        tap.ok(rows[1][2:] == ["created", "created", "0"] and rows[2][2:] == ["exited", "exited", "12"],
               "an older server's list", done)
        terminal = Terminal(older, "sandbox", "list")
        terminal.end()
        tap.ok(b"a?[31m" in terminal.seen, "control characters of others do not reach the terminal", terminal.seen)
        done = older.exec("1111", "x")
        tap.ok(done.code == 125 and "several" in done.error and ID in done.error, "an ambiguous id names two", done)
        done = older.exec("11111111-2", "x")
        tap.ok(done.code == 3, "a unique prefix is enough", done)
        done = older.exec("9999", "x")
        tap.ok(done.code == 125 and "sandbox list" in done.error, "an unknown prefix", done)


def check_stdin(tap, cli):
    """Text goes as text; other bytes go boxed, so that a server which knows text only refuses them."""
    result = {"output": "", "stdout": "", "stderr": "", "exit_code": 0, "exited": False}
    with Fake({f"POST /sandboxes/{ID}/exec": lambda handler, _: handler.reply(200, result)}) as fake:
        for data in b"a\0\"\\\n\x7f", "é€🦀".encode(), b"\xff\0", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82":
            Cli(cli.program, fake.url).exec("-s", ID, "x", "--stdin", "-", stdin=data)
        sent = [body["stdin"] for _, body, _ in fake.seen]
        tap.ok(sent == ["a\0\"\\\n\x7f", "é€🦀", {"base64": "/wA="}, {"base64": "7aCA"}, {"base64": "wIA="}, {"base64": "4oI="}],
               "standard input as it is sent", sent)


def check_pull(tap, cli):
    """The line on the terminal while start waits."""
    gone = threading.Event()
    states = [{"state": "queued", "queue_position": 2},
              {"state": "pulling", "image": "img", "progress": {"text": "Downloading", "current": 3e6, "total": 2e7}}]
    asked = []

    def start(handler, _):
        if not gone.wait(10):
            handler.reply(200)
            return
        handler.cut()

    def look(handler, _):
        asked.append(time.monotonic())
        handler.reply(200, states[min(len(asked), len(states)) - 1])

    with Fake({f"POST /sandboxes/{ID}/start": start, f"GET /sandboxes/{ID}": look}) as fake:
        terminal = Terminal(Cli(cli.program, fake.url), "sandbox", "start", ID)
        tap.ok(terminal.wait_for(rb"waiting for a free slot, place 2", 10), "start shows the place in the queue")
        tap.ok(terminal.wait_for(rb"pulling img: Downloading 3\.0 of 20\.0 MB", 10), "start shows the pull")
        tap.ok(asked[1] - asked[0] < 3, "it looks about once a second", asked)
        terminal.send(b"\x03")
        code = terminal.end(10)
        gone.set()
        tap.ok(code == 130, "^C ends it with 130", code)
        tap.ok(re.search(rb"\r\x1b\[K$", terminal.seen), "and the line is wiped", terminal.seen)


def check_token(tap, cli, directory):
    path = f"{directory}/token"
    with open(path, "w", encoding="utf-8") as file:
        file.write("# a comment\n\n  secret-1  \nsecret-2\n")
    with Fake({"GET /sandboxes": lambda handler, _: handler.reply(200, [])}) as fake:
        fake_cli = Cli(cli.program, fake.url)
        fake_cli("sandbox", "list")
        fake_cli("sandbox", "list", environment={"SOS_TOKEN": "of-the-environment"})
        fake_cli("sandbox", "--token-file", path, "list", environment={"SOS_TOKEN": "other"})
        sent = [headers.get("Authorization") for _, _, headers in fake.seen]
        tap.ok(sent == [None, "Bearer of-the-environment", "Bearer secret-1"], "tokens are sent", sent)
        done = fake_cli("sandbox", "list", environment={"SOS_TOKEN": "two\r\nwords"})
        tap.ok(done.code == 125 and len(fake.seen) == 3, "a token cannot add a header", done)


def check_session(tap, cli):
    """The server goes away in the middle; what the session made is still asked to be removed."""
    answers = {
        "POST /sandboxes": lambda handler, _: handler.reply(200, {"id": ID}),
        f"POST /sandboxes/{ID}/start": lambda handler, _: handler.reply(200),
        f"POST /sandboxes/{ID}/exec": lambda handler, _: handler.cut(),
        f"DELETE /sandboxes/{ID}": lambda handler, _: handler.reply(200),
    }
    with Fake(answers) as fake:
        done = Cli(cli.program, fake.url)("session", stdin=b"true\necho never\n")
        keys = [key for key, _, _ in fake.seen]
        tap.ok(done.code == 125 and keys[-1] == f"DELETE /sandboxes/{ID}" and len(keys) == 4,
               "a session whose command broke ends and removes its sandbox", done, keys)
        del fake.seen[:]
        fake.answers[f"POST /sandboxes/{ID}/start"] = lambda handler, _: handler.reply(400, "setup failed: no pip")
        done = Cli(cli.program, fake.url)("session", stdin=b"")
        tap.ok(done.code == 125 and "setup failed: no pip" in done.error and fake.seen[-1][0] == f"DELETE /sandboxes/{ID}",
               "a session that does not start removes its sandbox", done)
        del fake.seen[:]
        hold = threading.Event()
        fake.answers[f"POST /sandboxes/{ID}/start"] = lambda handler, _: hold.wait(20)
        process = Cli(cli.program, fake.url).popen("session")
        until(lambda: len(fake.seen) == 2)
        process.terminate()
        process.communicate(timeout=20)
        hold.set()
        tap.ok(process.returncode == 143 and fake.seen[-1][0] == f"DELETE /sandboxes/{ID}",
               "SIGTERM while it starts: 143 and removed", process.returncode, fake.seen)


def run(tap, cli, directory):
    check_cut(tap, cli)
    check_nonsense(tap, cli)
    check_older(tap, cli)
    check_stdin(tap, cli)
    check_pull(tap, cli)
    check_token(tap, cli, directory)
    check_session(tap, cli)
