# SPDX-License-Identifier: LGPL-2.1-or-later
"""Help and wrong command lines: no server is there."""

import re

GROUPS = [[], ["serve"], ["sandbox"], ["session"], ["pool"], ["pool", "warm"]]
COMMANDS = ["create", "list", "start", "exec", "result", "stop", "info", "trajectory"]
ID = "11111111-2222-4333-8444-555555555555"

# arguments, what the message must hold
WRONG = [
    (["nonsense"], "no command 'nonsense'"),
    (["sandbox"], "wants a command"),
    (["sandbox", "nonsense"], "no command 'nonsense'"),
    (["sandbox", "create", "ubuntu"], "--image"),
    (["sandbox", "create", "--nonsense"], "unknown option --nonsense"),
    (["sandbox", "create", "-x"], "unknown option -x"),
    (["sandbox", "create", "--json", "-sx", "-x"], "unknown option -x"),
    (["sandbox", "create", "--image"], "needs a value"),
    (["sandbox", "create", "--env", "=x"], "NAME=VALUE"),
    (["sandbox", "create", "--memory", "2x"], "512m"),
    (["sandbox", "create", "--cpus", "-1"], "1.5"),
    (["sandbox", "create", "--pids", "many"], "512"),
    (["sandbox", "create", "--lifetime", "1h"], "seconds"),
    (["sandbox", "create", "--network", "host"], "bridge or none"),
    (["sandbox", "list", "word"], "'word'"),
    (["sandbox", "start"], "ID"),
    (["sandbox", "start", "abc"], "too short"),
    (["sandbox", "start", ""], "empty"),
    (["sandbox", "stop"], "ID"),
    (["sandbox", "exec"], "ID"),
    (["sandbox", "exec", ID], "COMMAND"),
    (["sandbox", "exec", ID, "ls", "-l"], "unknown option -l"),
    (["sandbox", "exec", ID, "--", "ls", "-l"], "--argv"),
    (["sandbox", "exec", ID, "ls", "--timeout", "0"], "seconds"),
    (["sandbox", "exec", ID, "ls", "--timeout", "soon"], "seconds"),
    (["sandbox", "exec", ID, "ls", "--max-output", "-5"], "bytes"),
    (["sandbox", "exec", ID, "ls", "--judge"], "--standalone"),
    (["sandbox", "exec", ID, "ls", "--stdin", "-"], "--standalone"),
    (["sandbox", "exec", ID, "ls", "--separate"], "--standalone"),
    (["sandbox", "result", ID], "EXEC-ID"),
    (["sandbox", "info"], "ID"),
    (["sandbox", "trajectory", ID, ID], "one"),
    (["session", "ubuntu"], "--image"),
    (["sandbox", "--server", "ftp://host", "list"], "http://localhost:3000"),
    (["sandbox", "--server", "http://", "list"], "http://localhost:3000"),
    (["help", "nonsense"], "no command"),
    (["pool", "nonsense"], "no command 'nonsense'"),
    (["pool", "warm"], "IMAGE"),
    (["pool", "warm", "ubuntu"], "IMAGE"),
    (["pool", "warm", "ubuntu", "many"], "how many"),
    (["pool", "warm", "ubuntu", "-1"], "option -1"),
    (["pool", "warm", "ubuntu", "1", "--memory", "2x"], "512m"),
]


def check_help(tap, cli):
    for group in GROUPS[2:] + [["sandbox", name] for name in COMMANDS] + [[]]:
        done = cli(*group, "--help")
        name = " ".join(["sos", *group])
        tap.ok(done.code == 0 and not done.err and "Usage: " + name in done.text and "Examples:" in done.text,
               f"{name} --help has a usage and examples", done)
        wide = [line for line in done.text.splitlines() if len(line) > 100]
        tap.ok(not wide and "\t" not in done.text, f"{name} --help fits a terminal", wide)
        again = cli("help", *group)
        tap.ok(again.out == done.out and again.code == 0, f"sos help {' '.join(group)} is the same", again)
    for name in COMMANDS:
        tap.ok(re.search(rf"^  {name} ", cli("sandbox", "--help").text, re.M), f"sos sandbox --help lists {name}")
    done = cli("--version")
    tap.ok(done.code == 0 and re.fullmatch(r"sos \d+\.\d+\.\d+\n", done.text), "sos --version", done)
    done = cli()
    tap.ok(done.code == 2 and not done.out and "Usage:" in done.error, "sos alone shows its usage on stderr", done)


def check_wrong(tap, cli):
    for arguments, words in WRONG:
        done = cli(*arguments)
        lines = done.error.splitlines()
        good = done.code == 2 and not done.out and len(lines) == 1 and lines[0].startswith("sos: ") and words in lines[0]
        tap.ok(good, f"wrong: sos {' '.join(arguments)}", done)


def check_no_server(tap, cli):
    """One line that says what to do, at every command."""
    commands = [["sandbox", "create"], ["sandbox", "list"], ["sandbox", "start", ID], ["sandbox", "exec", ID, "true"],
                ["sandbox", "stop", ID], ["sandbox", "info", ID], ["sandbox", "trajectory", ID],
                ["sandbox", "result", ID, "x"], ["session"], ["pool"], ["pool", "warm", "ubuntu", "1"]]
    for arguments in commands:
        done = cli(*arguments, environment={"SOS_SERVER": "http://127.0.0.1:1"})
        good = (done.code == 125 and not done.out and len(done.error.splitlines()) == 1 and
                "http://127.0.0.1:1" in done.error and "sos serve" in done.error)
        tap.ok(good, f"no server: sos {' '.join(arguments[:2])}", done)
    done = cli("sandbox", "--server", "http://no-such-host.invalid", "list")
    tap.ok(done.code == 125 and "no-such-host.invalid" in done.error, "an unknown host is named", done)
    done = cli("sandbox", "list", environment={"SOS_SERVER": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:2"})
    tap.ok("127.0.0.1:1 " in done.error, "http_proxy is not asked for this machine's server", done)
    done = cli("sandbox", "--token-file", "/nonexistent", "list")
    tap.ok(done.code == 125 and "/nonexistent" in done.error, "a missing token file is named", done)


def run(tap, cli):
    check_help(tap, cli)
    check_wrong(tap, cli)
    check_no_server(tap, cli)
