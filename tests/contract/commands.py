# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands over HTTP, on the real Engine: results, encodings, caps, time limits, identities."""

import base64
import contextlib
import time

from support import Background, Client, serving, send, until, want, want_error

RESULT = ["output", "stdout", "stderr", "exit_code", "exited", "timed_out", "session_lost", "dropped_bytes",
          "duration_ms", "exec_id", "background_output"]


@contextlib.contextmanager
def environment(options):
    with serving(options, "-m", "4") as env, env.started() as path:
        env.path = path
        yield env


def result_fields(env):
    """a result has the contract's fields, then ours"""
    answer = env.run(env.path, "echo out; echo err >&2; (exit 3)")
    yield want("keys", list(answer)[:11], RESULT)
    yield want("merged", (answer["output"], answer["stdout"], answer["stderr"]), ("out\nerr", "out\nerr", ""))
    yield want("code", (answer["exit_code"], answer["exited"], answer["timed_out"], answer["session_lost"]),
               (3, False, False, False))
    if not isinstance(answer["duration_ms"], float) or not 0 < answer["duration_ms"] < 60000:
        yield f"duration_ms is {answer['duration_ms']!r}"


def trimming(env):
    """session output is right-trimmed, standalone output untouched, base64 exact"""
    command = "printf ' a \\t\\v\\f\\r\\n\\n \\n'"
    whole = " a \t\v\f\r\n\n \n"
    yield want("session", env.run(env.path, command)["output"], " a")
    yield want("only space", env.run(env.path, "printf ' \\n\\t'")["output"], "")
    yield want("standalone", env.run(env.path, command, standalone=True)["output"], whole)
    yield want("a no-break space stays", env.run(env.path, "printf 'a\\302\\240'")["output"], "a\u00a0")
    yield want("base64", base64.b64decode(env.run(env.path, command, encoding="base64")["output"]), whole.encode())


def separate_streams(env):
    """separate streams: each exact, on request of a standalone command or of the sandbox"""
    answer = env.run(env.path, "echo out; echo err >&2", standalone=True, streams="separate")
    yield want("standalone", (answer["stdout"], answer["stderr"]), ("out\n", "err\n"))
    yield want("both are in output", sorted(answer["output"].splitlines()), ["err", "out"])
    with env.started(streams="separate") as path:
        answer = env.run(path, "echo out; echo err >&2")
        yield want("session", (answer["stdout"], answer["stderr"]), ("out", "err\n"))


def text(env):
    """what is not UTF-8 becomes U+FFFD, one a maximal subpart, and the JSON stays valid"""
    for data in (b"a\xffb", b"\xc3", b"\xe4\xbd\xa0\xe5\xa5\xbd", b"\xf0\x9f\x8c\x8a!", b"\xf0\x9f\x8c!",
                 b"\xed\xa0\x80!",
                 b"\xc0\xaf!", b"\xf4\x90\x80\x80!", b"a\0b\x1b[31m\"\\\x7f!", bytes(range(1, 256)) + b"!"):
        escaped = "".join(f"\\{byte:03o}" for byte in data)
        answer = env.run(env.path, f"printf '{escaped}'", standalone=True)
        yield want(repr(data), answer["output"], data.decode("utf-8", "replace"))
        answer = env.run(env.path, f"printf '{escaped}'", standalone=True, encoding="base64")
        yield want(f"{data!r} in base64", base64.b64decode(answer["output"]), data)
        yield want("encoding", answer["encoding"], "base64")


def unicode_commands(env):
    """commands are UTF-8, escaped or not, long or not"""
    said = send(env.port, env.path + "/exec", '{"command": "echo \\ud83c\\udf0a\\u4f60"}')[1]
    yield want("escapes", said.count("🌊你"), 2)
    yield want("long", len(env.run(env.path, "echo " + "é" * 200000)["output"]), 200000)
    yield want("tabs and quotes", env.run(env.path, "printf '%s' 'a\tb\"\\c'")["output"], 'a\tb"\\c')


def caps(env):
    """the first bytes are kept up to the cap, the rest is counted; no character is split"""
    answer = env.run(env.path, "head -c 100000 /dev/zero | tr '\\0' x", max_output_bytes=1000)
    yield want("kept and dropped", (answer["output"], answer["dropped_bytes"]), ("x" * 1000, 99000))
    answer = env.run(env.path, "printf 'ab\\344\\275\\240cd'", max_output_bytes=4)
    yield want("split character", (answer["output"], answer["dropped_bytes"]), ("ab", 5))
    answer = env.run(env.path, "printf 'ab\\344\\275\\240cd'", max_output_bytes=4, encoding="base64")
    yield want("in base64", (base64.b64decode(answer["output"]), answer["dropped_bytes"]), (b"ab\xe4\xbd", 3))
    answer = env.run(env.path, "head -c 9000000 /dev/zero | tr '\\0' x")
    yield want("default cap", (len(answer["output"]), answer["dropped_bytes"]), (8 << 20, 9000000 - (8 << 20)))


def large_output(env):
    """64 MiB in one answer, quoted, in reasonable time"""
    size = 64 << 20
    begun = time.monotonic()
    answer = env.run(env.path, f"head -c {size} /dev/zero | tr '\\0' '\"'", max_output_bytes=size, standalone=True)
    took = time.monotonic() - begun
    yield want("length", (len(answer["output"]), answer["dropped_bytes"]), (size, 0))
    yield want("content", answer["output"].count('"'), size)
    if took > 60:
        yield f"took {took:.1f} s"


def time_limits(env):
    """a command that runs into its limit is a result, and the session goes on"""
    answer = env.run(env.path, "echo before; sleep 30", timeout_ms=300)
    yield want("result", (answer["output"], answer["timed_out"], answer["session_lost"]), ("before", True, False))
    if not 290 <= answer["duration_ms"] < 3000:
        yield f"duration_ms is {answer['duration_ms']}"
    yield want("after it", env.run(env.path, "echo next")["output"], "next")
    answer = env.run(env.path, "sleep 30", timeout_ms=200, standalone=True)
    yield want("standalone", answer["timed_out"], True)


def standalone(env):
    """standalone commands: argv, stdin with NUL, environment, own process"""
    argv = ["printf", "%s|", "a b", "", "$HOME"]
    yield want("argv", env.run(env.path, None, argv=argv, standalone=True)["output"], "a b||$HOME|")
    yield want("stdin", env.run(env.path, "cat", stdin="line\0x\né", standalone=True)["output"], "line\0x\né")
    yield want("no stdin", env.run(env.path, "wc -c", standalone=True)["output"].strip(), "0")
    env.run(env.path, "cd /tmp; export MINE=1")
    outside = env.run(env.path, "echo $PWD-$MINE-$TERM-$LANG", standalone=True)["output"]
    yield want("outside the session", outside, "/--dumb-C.UTF-8\n")
    answer = env.run(env.path, "kill -9 $$", standalone=True)
    yield want("signal", (answer["exit_code"], answer["exited"]), (137, False))
    empty = env.request("POST", env.path + "/exec", {"argv": [], "standalone": True})
    yield want_error("empty argv", empty, 400, "argv")


def binary_stdin(env):
    """stdin may be bytes that are no text, as {"base64": "..."}"""
    for data in (b"", b"\0", b"\xff\xfe\r\n\xc3", bytes(range(256)) * 1000):
        answer = env.run(env.path, "cat", stdin={"base64": base64.b64encode(data).decode()}, standalone=True,
                         encoding="base64")
        if base64.b64decode(answer["output"]) != data:
            yield f"{data[:8]!r} comes back as {answer['output'][:40]!r}"
    answer = env.run(env.path, "cat", stdin={"base64": "YQ", "future": 1}, standalone=True)
    yield want("without padding, with an unknown key", answer["output"], "a")


def judge(env):
    """a judge command runs after every other process was killed; the session is over then"""
    with env.started() as path:
        env.run(path, "sleep 1000 & sleep 0")
        answer = env.run(path, "ls /proc | grep -c '^[0-9]*$'; echo judged", judge=True, standalone=True)
        yield want("output", answer["output"].splitlines()[-1], "judged")
        if int(answer["output"].split()[0]) > 4:
            yield f"processes besides its own: {answer['output']!r}"
        yield want("state", env.request("GET", path)[1]["status"], "exited")


def identities(env):
    """an exec_id asked again gives the same result and runs nothing twice"""
    with env.started() as path:
        command = "echo x >> /tmp/n; wc -l < /tmp/n"
        first = env.run(path, command, exec_id="one:1.a-_")
        yield want("exec_id", first["exec_id"], "one:1.a-_")
        yield want("again", env.run(path, command, exec_id="one:1.a-_"), first)
        other = env.request("POST", path + "/exec", {"command": "echo other", "exec_id": "one:1.a-_"})
        yield want_error("another command", other, 400, "exec_id")
        yield want("by GET", env.request("GET", path + "/exec/one%3A1.a-_"), (200, first))
        yield want("not encoded", env.request("GET", path + "/exec/one:1.a-_"), (200, first))
        yield want_error("unknown", env.request("GET", path + "/exec/two"), 404, "two")
        generated = env.run(path, "echo y")["exec_id"]
        yield want("generated", env.request("GET", path + "/exec/" + generated)[1]["output"], "y")
        yield want("in base64", env.request("GET", f"{path}/exec/{generated}?encoding=base64")[1]["output"], "eQo=")
        yield want_error("wait_ms", env.request("GET", path + "/exec/one:1.a-_?wait_ms=soon"), 400, "wait_ms")


def running_results(env):
    """GET of a running exec says 202 after wait_ms, and waits without it"""
    with env.started() as path:
        runner = Background(env.request, "POST", path + "/exec", {"command": "sleep 1; echo done", "exec_id": "slow"})
        known = until(lambda: env.request("GET", path + "/exec/slow?wait_ms=0")[0] == 202, 5)
        yield want("202 while it runs", known, True)
        status, answer = env.request("GET", path + "/exec/slow?wait_ms=50")
        yield want("body", (status, answer), (202, {"exec_id": "slow", "running": True}))
        status, answer = env.request("GET", path + "/exec/slow")
        yield want("waits", (status, answer["output"]), (200, "done"))
        runner.join()
        yield want("the same", runner.result, (200, answer))


def busy_session(env):
    """commands for a busy session queue in order; list, info and stop do not wait for them"""
    with env.started() as path:
        slow = Background(env.request, "POST", path + "/exec", {"command": "sleep 60", "exec_id": "sleeper"})
        until(lambda: env.request("GET", path)[1]["session_busy"], 5)
        for what in (path, "/sandboxes", path + "/trajectory", "/healthz"):
            begun = time.monotonic()
            env.request("GET", what)
            if time.monotonic() - begun > 1:
                yield f"{what} took {time.monotonic() - begun:.1f} s"
        yield want("state of the session", env.request("GET", path)[1]["sessions"][0]["state"], "busy")
        begun = time.monotonic()
        yield want("stop", env.request("POST", path + "/stop"), (200, ""))
        if time.monotonic() - begun > 10:
            yield "stop waited for the command"
        slow.join(10)
        yield want_error("the command", slow.result, 400)


def order(env):
    """fifty commands at once on one session run one by one, each with its own output"""
    with env.started() as path:
        env.run(path, "n=0")
        runners = [Background(env.run, path, f"n=$((n+1)); echo {i} $n") for i in range(50)]
        numbers = []
        for i, runner in enumerate(runners):
            runner.join()
            mine, number = runner.result["output"].split()
            yield want("own output", mine, str(i))
            numbers.append(int(number))
        yield want("each once", sorted(numbers), list(range(1, 51)))


def vanished_client(env):
    """a client that goes away while its command runs: the command goes on and is recorded, the next is in step"""
    with env.started() as path:
        client = Client(env.port)
        client.connection.request("POST", path + "/exec", '{"command": "sleep 1; echo finished > /tmp/f; echo done"}',
                                  {"Content-Type": "application/json"})
        until(lambda: env.request("GET", path)[1]["session_busy"], 5)
        client.close()
        yield want("next", env.run(path, "cat /tmp/f")["output"], "finished")
        steps = env.request("GET", path + "/trajectory")[1]["trajectory"]
        yield want("recorded", [s["result"]["output"] for s in steps], ["done", "finished"])


def background_output(env):
    """what a background job writes between commands is given apart"""
    with env.started() as path:
        env.run(path, "(sleep 0.3; echo late; echo > /tmp/written) & sleep 0")
        until(lambda: env.run(path, "test -e /tmp/written", standalone=True)["exit_code"] == 0, 10)
        answer = env.run(path, "echo now")
        yield want("apart", (answer["output"], answer["background_output"].strip()), ("now", "late"))


def large_commands(env):
    """a command of 1 MiB runs, one with 63 MiB of comment too"""
    counted = env.run(env.path, "cat <<'E' | wc -c\n" + "x" * (1 << 20) + "\nE")["output"]
    yield want("1 MiB", counted, str((1 << 20) + 1))
    yield want("63 MiB", env.run(env.path, "#" + "x" * (63 << 20) + "\necho fine")["output"], "fine")


TESTS = [result_fields, trimming, separate_streams, text, unicode_commands, caps, large_output, time_limits, standalone,
         binary_stdin, judge, identities, running_results, busy_session, order, vanished_client,
         background_output, large_commands]
