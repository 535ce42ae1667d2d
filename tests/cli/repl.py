# SPDX-License-Identifier: LGPL-2.1-or-later
"""sos session: piped, on a terminal, and ended in every way. Its sandbox never stays."""

import os
import signal
import subprocess

from cli import Cli, Terminal, until


def ids(cli):
    return cli("sandbox", "list", "-q").text.split()


def check_pipe(tap, cli, image):
    def session(script, *arguments):
        done = cli("session", "-i", image, "--network", "none", *arguments, stdin=script)
        tap.ok(not ids(cli), "the sandbox is gone", ids(cli))
        return done

    done = session(b"cd /tmp\nA=1\n\n   \npwd; echo $A\n(exit 3)\n")
    tap.ok(done.out == b"/tmp\n1\n" and done.code == 3 and not done.err, "lines of a pipe; the last exit code", done)
    done = session(b"echo one\nexit 5\necho two\n")
    tap.ok(done.out == b"one\n" and done.code == 5, "exit N ends with N", done)
    done = session(b"echo a \\\n  b\necho 'c\\\\'\necho last")
    tap.ok(done.out == b"a b\nc\\\\\nlast\n" and done.code == 0, "backslash at the end of a line; no newline at the end", done)
    done = session(b"cat\necho 'oops\necho fine\n")
    tap.ok(done.out.endswith(b"fine\n") and done.code == 0, "commands do not read the script; an open quote ends by itself",
           done)
    done = session(b"")
    tap.ok(done.code == 0 and not done.out, "no lines at all", done)
    done = session(b"false\n", "--setup", "cd /var", "--setup", "X=setup")
    tap.ok(done.code == 1, "setup commands do not change the end", done)
    done = session(b"echo $PWD $X\n", "--setup", "cd /var", "--setup", "X=setup", "--env", "E=env")
    tap.ok(done.out == b"/var setup\n", "setup commands hold", done)
    done = session(b"kill -9 $$\necho never\n")
    tap.ok(done.code == 137 and not done.out, "a shell that is killed ends it", done)
    done = session(b"(sleep 0.2; echo late) &\nsleep 0.6; true\ntrue\n")
    tap.ok(b"late" in done.out + done.err, "what background jobs write is shown", done)
    many = b"".join(b"echo %d\n" % number for number in range(300))
    done = session(many)
    tap.ok(done.out == b"".join(b"%d\n" % number for number in range(300)), "300 lines, in order", done)


def check_signals(tap, cli, image):
    for number, code in (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130):
        for name, script in ("waits for input", None), ("runs a command", b"sleep 600\n"):
            process = cli.popen("session", "-i", image, "--network", "none", stdin=subprocess.PIPE)
            process.stdin.write(script or b"echo up\n")
            process.stdin.flush()
            if script:
                busy = until(lambda: any(item["session_busy"] for item in cli.json("sandbox", "list")), 60)
            else:
                busy = process.stdout.readline() == b"up\n"
            # A closing terminal sends more than one.
            process.send_signal(number)
            process.send_signal(number)
            err = process.communicate(timeout=60)[1]
            tap.ok(busy and process.returncode == code and not ids(cli),
                   f"signal {number} while it {name}: {code}, and the sandbox is gone", process.returncode, err, ids(cli))


def check_terminal(tap, cli, image, directory):
    state = os.path.join(directory, "state")
    at = Cli(cli.program, cli.environment["SOS_SERVER"], XDG_STATE_HOME=state)
    terminal = Terminal(at, "session", "-i", image, "--network", "none")
    tap.ok(terminal.wait_for(rb"Sandbox [0-9a-f-]{36} of .*\r\nsos> "), "a greeting and a prompt", terminal.seen)
    terminal.send(b"echo $((40 + 2))\n")
    tap.ok(terminal.wait_for(rb"\r\n42\r\nsos> "), "a command and the next prompt", terminal.seen)
    terminal.send(b"printf x\n")
    tap.ok(terminal.wait_for(rb"\r\nx\r\nsos> "), "output without a newline does not stick to the prompt", terminal.seen)
    terminal.send(b"echo a \\\n")
    tap.ok(terminal.wait_for(rb"\r\n> "), "a prompt for a line that goes on", terminal.seen)
    terminal.send(b"b\n")
    tap.ok(terminal.wait_for(rb"\r\na b\r\nsos> "), "and the whole command", terminal.seen)
    terminal.send(b"never run")
    tap.ok(terminal.wait_for(rb"never run"), "a half line")
    terminal.send(b"\x03")
    tap.ok(terminal.wait_for(rb"\r\nsos> "), "^C at the prompt throws it away", terminal.seen)
    terminal.send(b"mkfifo /tmp/gate; echo waits; read line < /tmp/gate; echo $line\n")
    tap.ok(terminal.wait_for(rb"\r\n") and until(lambda: any(item["session_busy"] for item in at.json("sandbox", "list"))),
           "a command that does not end")
    terminal.send(b"\x03")
    tap.ok(terminal.wait_for(rb"not waiting any longer.*\r\nsos> "), "^C stops waiting for it", terminal.seen)
    sandbox = ids(cli)[0]
    cli.exec("-s", sandbox, "until [ -p /tmp/gate ]; do :; done; echo go > /tmp/gate")
    terminal.send(b"echo after\n")
    tap.ok(terminal.wait_for(rb"\r\nafter\r\nsos> "), "the next command comes after it", terminal.seen)
    terminal.send(b"(exit 6)\n")
    tap.ok(terminal.wait_for(rb"\r\nsos> "), "a code")
    terminal.send(b"\x04")
    code = terminal.end()
    tap.ok(code == 6 and not ids(cli), "^D ends it with the last code, the sandbox is gone", code)
    path = os.path.join(state, "sos", "history")
    with open(path, encoding="utf-8") as file:
        lines = file.read()
    tap.ok("echo $((40 + 2))\n" in lines and "echo a \\\nb\n" in lines and "never run" not in lines, "the history", lines)
    tap.ok(os.stat(path).st_mode & 0o777 == 0o600, "nobody else may read it")
    with open(path, "w", encoding="utf-8") as file:
        file.write("old line\n" * 200000 + "newest line\n")
    terminal = Terminal(at, "session", "-i", image, "--network", "none")
    tap.ok(terminal.wait_for(rb"sos> "), "a session with a long history", terminal.seen)
    terminal.hang_up()
    code = terminal.end()
    tap.ok(code == 129 and until(lambda: not ids(cli), 5), "the terminal goes away: 129, the sandbox is gone", code, ids(cli))
    with open(path, encoding="utf-8") as file:
        lines = file.read()
    tap.ok(len(lines) < 600000 and lines.endswith("old line\nnewest line\n") and lines.startswith("old line\n"),
           "a long history is cut at a line", len(lines), lines[:20], lines[-30:])


def run(tap, cli, image, directory):
    check_pipe(tap, cli, image)
    check_signals(tap, cli, image)
    check_terminal(tap, cli, image, directory)
