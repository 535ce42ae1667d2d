# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts that wait, on a server with one slot."""

import signal

from cli import Terminal, until


def position(cli, sandbox):
    return cli.json("sandbox", "info", sandbox)["queue_position"]


def run(tap, cli, image):
    holder = cli.started(image, "--network", "none")
    first, second, third = (cli.create(image, "--network", "none") for _ in range(3))

    terminal = Terminal(cli, "sandbox", "start", first)
    tap.ok(terminal.wait_for(rb"waiting for a free slot, place 1"), "start says that it waits", terminal.seen)
    behind = cli.popen("sandbox", "start", second)
    tap.ok(until(lambda: position(cli, second) == 2), "another waits behind it")
    terminal.send(b"\x03")
    code = terminal.end()
    tap.ok(code == 130, "^C: 130", code)
    tap.ok(until(lambda: position(cli, second) == 1), "the place is free at once, the other moves up")
    tap.ok(cli.json("sandbox", "info", first)["state"] == "created", "the one that was given up can be started again")

    piped = cli.popen("sandbox", "start", third)
    tap.ok(until(lambda: position(cli, third) == 2), "a third one waits")
    piped.send_signal(signal.SIGTERM)
    out, err = piped.communicate(timeout=20)
    tap.ok(piped.returncode == 143 and not out and not err, "SIGTERM: 143, and nothing shows in pipes", piped.returncode,
           out, err)
    tap.ok(until(lambda: not position(cli, third)), "and its place is free")

    cli.remove(holder)
    out, err = behind.communicate(timeout=60)
    tap.ok(behind.returncode == 0 and second in out.decode() and not err, "a slot is free: the next one starts",
           behind.returncode, out, err)
    session = cli.popen("session", "-i", image, "--network", "none")
    tap.ok(until(lambda: len(cli.json("sandbox", "list")) == 4), "a session waits too")
    session.send_signal(signal.SIGINT)
    session.communicate(timeout=30)
    left = cli("sandbox", "list", "-q").text.split()
    tap.ok(session.returncode == 130 and len(left) == 3, "^C ends it, its sandbox is gone", session.returncode, left)
    cli.remove(first, second, third)
