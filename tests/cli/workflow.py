# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual's examples as they are pasted, and every command on a real server."""

import hashlib
import json
import os
import re
import signal
import subprocess

from cli import Cli, Terminal, until

README = r"""
set -e
ID=$(sos sandbox create --image ubuntu:latest | grep "Sandbox created" | cut -d' ' -f5)
sos sandbox start $ID
sos sandbox exec $ID "cd /tmp"
sos sandbox exec $ID "echo \$PWD"  # Should output: /tmp
sos sandbox exec $ID "echo 'Hello World' > test.txt"
sos sandbox exec $ID "cat test.txt"
sos sandbox exec $ID "echo 'Hello, World!'"
sos sandbox exec $ID "ls -la" > /dev/null
sos sandbox exec $ID "cd /tmp && pwd"
sos sandbox stop $ID
"""


def check_readme(tap, cli, image):
    done = cli.shell(README.replace("ubuntu:latest", image))
    lines = done.text.splitlines()
    good = done.code == 0 and lines[1:-1] == ["/tmp", "Hello World", "Hello, World!", "/tmp"]
    tap.ok(good and not done.err, "the manual's workflow", done)
    done = cli.shell('sos sandbox create \\\n  --image python:3.9 \\\n  --setup "pip install requests" \\\n'
                     '  --setup "cd /workspace"')
    sandbox = done.text.strip().split(" ")[-1]
    tap.ok(done.text.startswith("Sandbox created with ID: "), "the manual's create with setup commands", done)
    info = cli.json("sandbox", "info", sandbox)
    tap.ok(info["image"] == "python:3.9" and info["setup_commands"] == "pip install requests && cd /workspace",
           "and what it made", info)
    server = cli.environment["SOS_SERVER"]
    done = cli.shell(f"sos sandbox --server {server} create", SOS_SERVER="http://127.0.0.1:1")
    tap.ok(done.code == 0 and done.text.startswith("Sandbox created with ID: "), "the manual's --server", done)
    done = cli.shell(f"sos sandbox -s {server} create -s 'echo a' -s 'echo b' --json", SOS_SERVER="http://127.0.0.1:1")
    info = cli.json("sandbox", "info", json.loads(done.out)["id"])
    tap.ok(info["setup_commands"] == "echo a && echo b", "-s is the server before the command, setup after it", info)
    done = cli.shell(f"echo 'echo in the sandbox' | sos session -i {image}")
    tap.ok(done.code == 0 and done.text == "in the sandbox\n", "the manual's session", done)


def check_spec(tap, cli, image):
    """Every option of create, seen in what the server knows."""
    sandbox = cli.create(image, "--env", "A=b=c", "--env", "SOS_TEST_OURS", "--env", "SOS_TEST_UNSET", "--label", "k=v",
                         "--workdir", "/tmp", "--user", "1000", "--memory", "512m", "--cpus", "1.5", "--pids", "99",
                         "--lifetime", "77", "--idle-timeout", "33.5", "--network", "none", "--streams", "separate",
                         "--profile", "standard", "--new-privileges")
    info = cli.json("sandbox", "show", sandbox)
    want = {"labels": {"k": "v"}, "working_directory": "/tmp", "user": "1000", "memory_bytes": 512 << 20, "cpus": 1.5,
            "pids_limit": 99, "lifetime_ms": 77000, "idle_timeout_ms": 33500, "network": "none", "streams": "separate",
            "profile": "standard", "new_privileges": True, "environment_names": ["A", "SOS_TEST_OURS"]}
    tap.empty([f"{name}: {info.get(name)!r}, not {value!r}" for name, value in want.items() if info.get(name) != value],
              "create: every option arrives")
    cli("sandbox", "start", sandbox)
    done = cli.exec(sandbox, 'echo "$A $SOS_TEST_OURS $PWD $(id -u)"; echo oops >&2')
    tap.ok(done.out == b"b=c ours /tmp 1000\n" and done.err == b"oops\n" and done.code == 0,
           "and holds; separate streams come apart", done)
    cli.remove(sandbox)
    done = cli("sandbox", "create", "--image", image, "--start")
    sandbox = done.text.split()[-1]
    tap.ok(done.code == 0 and cli.exec(sandbox, "echo up").out == b"up\n", "create --start", done)
    cli.remove(sandbox)
    done = cli("sandbox", "create", "--image", image, "--start", "--setup", "echo why; false")
    tap.ok(done.code == 125 and "why" in done.error, "a setup that fails shows its output", done)
    done = cli("sandbox", "create", "--image", "sos-test:nosuch", "--start")
    tap.ok(done.code == 125 and "sos-test:nosuch" in done.error, "an image that cannot be had is named", done)


def check_pool(tap, cli, image):
    done = cli("pool", "warm", image, "1", "--network", "none", "--setup", "cd /tmp")
    tap.ok(done.code == 0 and not done.out and not done.err, "pool warm says nothing when it is done", done)
    tap.ok(until(lambda: cli.json("pool")["warm_ready"] == 1, 60), "and a container gets ready", cli("pool"))
    done = cli("pool")
    row = rf"{image} \+1 setup +1 of 1 +0 +0 +-"
    tap.ok(done.code == 0 and re.search(r"^\d+ of 10 containers, .*1 warm", done.text) and re.search(row, done.text, re.M),
           "pool shows it", done)
    sandbox = cli.started(image, "--network", "none", "--setup", "cd /tmp", "--setup", "X=1", "--env", "Y=2")
    done = cli.exec(sandbox, "echo $PWD $X $Y")
    tap.ok(done.text == "/tmp 1 2\n", "a start takes it", done)
    tap.ok(re.search(r"1 +100% of 1", cli("pool").text), "which shows as a hit", cli("pool"))
    cli.remove(sandbox)
    done = cli("pool", "warm", image, "99")
    tap.ok(done.code == 125 and "capacity" in done.error, "too many are refused in the server's words", done)
    done = cli("pool", "warm", image, "0", "--network", "none", "--setup", "cd /tmp")
    tap.ok(done.code == 0 and not cli.json("pool")["warm"], "and 0 ends it", done)


def check_exec(tap, cli, sandbox):
    def same(name, done, out, code=0, err=b""):
        tap.ok(done.out == out and done.code == code and (err is None or done.err == err), name, done)

    same("exec ends with the command's code", cli.exec(sandbox, "echo x; (exit 7)"), b"x\n", 7)
    same("output is exact: NUL, bytes that are no text, blanks at the end",
         cli.exec(sandbox, r"printf 'a\0\xff\xc3 \t\n\n'"), b"a\0\xff\xc3 \t\n\n")
    same("no newline is added to a pipe", cli.exec(sandbox, "printf x"), b"x")
    same("merged: stderr is in stdout, in order", cli.exec(sandbox, "echo a; echo b >&2; echo c"), b"a\nb\nc\n")
    same("the session keeps a variable", cli.exec(sandbox, "Q=1; echo [$Q]"), b"[1]\n")
    same("exec -s before the id is outside of it", cli.exec("-s", sandbox, "echo [$Q]"), b"[]\n")
    same("exec -s after the command too", cli.exec(sandbox, "echo [$Q]", "-s"), b"[]\n")
    same("a prefix of the id", cli.exec(sandbox[:8], "echo p"), b"p\n")
    same("-- ends the options", cli.exec(sandbox, "--", "-x() { echo dash; }; -x"), b"dash\n")
    same("--argv takes words as they are", cli.exec("--argv", sandbox, "printf", "%s|", "a b", "--json", "$X", "-s"),
         b"a b|--json|$X|-s|")
    same("--argv behind the id", cli.exec(sandbox, "--argv", "printf", "%s", "-s"), b"-s")
    same("--separate", cli.exec("-s", sandbox, "echo o; echo e >&2; exit 5", "--separate"), b"o\n", 5, b"e\n")
    same("--stdin -", cli.exec("-s", sandbox, "tr a-z A-Z", "--stdin", "-", stdin=b"text\n"), b"TEXT\n")
    text = 'quote " backslash \\ \x00 é € 🦀 \x7f \x1f\n'.encode()
    same("--stdin: text with NUL, quotes and characters", cli.exec("-s", sandbox, "cat", "--stdin", "-", stdin=text), text)
    same("--stdin: nothing", cli.exec("-s", sandbox, "wc -c", "--stdin", "-"), b"0\n")
    same("--stdin of a missing file", cli.exec("-s", sandbox, "cat", "--stdin", "/nonexistent"), b"", 125, None)


def check_limits(tap, cli, sandbox):
    done = cli.exec(sandbox, "echo part; sleep 60", "--timeout", "0.5")
    tap.ok(done.code == 124 and done.out == b"part\n" and "time limit" in done.error, "--timeout: 124 and the part", done)
    done = cli.exec(sandbox, "echo next")
    tap.ok(done.out == b"next\n", "and the session goes on", done)
    done = cli.exec(sandbox, "head -c 5000 /dev/zero", "--max-output", "1k")
    tap.ok(done.out == bytes(1024) and "3976 bytes" in done.error and done.code == 0, "--max-output says what it dropped",
           done.code, len(done.out), done.err)
    done = cli.exec(sandbox, "head -c 20000000 /dev/urandom | tee /tmp/big | sha256sum; cat /tmp/big", "--max-output", "32m")
    line, _, rest = done.out.partition(b"\n")
    tap.ok(len(rest) == 20000000 and hashlib.sha256(rest).hexdigest() == line.decode().split()[0],
           "20 MB of any bytes arrive", done.code, len(rest), done.err)
    done = cli.shell(f"sos sandbox exec {sandbox} 'cat /tmp/big' --max-output 32m | head -c 3 | wc -c; "
                     "echo ${PIPESTATUS[0]}")
    tap.ok(done.text == "3\n141\n" and not done.err, "a reader that goes away: 141, nothing on stderr", done)
    done = cli.shell(f"sos sandbox exec {sandbox} 'echo x' > /dev/full")
    tap.ok(done.code == 125 and "No space left" in done.error, "output that cannot be written is an error", done)
    done = cli.shell("sos sandbox list > /dev/full")
    tap.ok(done.code == 125 and "No space left" in done.error, "for lists too", done)


def check_results(tap, cli, sandbox):
    first = cli.exec(sandbox, "echo $((++RUNS)); exit_with() { return 4; }; exit_with", "--exec-id", "run-1")
    again = cli.exec(sandbox, "echo $((++RUNS)); exit_with() { return 4; }; exit_with", "--exec-id", "run-1")
    tap.ok(first.out == b"1\n" and first.code == 4 and again.out == first.out and again.code == 4,
           "the same --exec-id does not run again", first, again)
    done = cli("sandbox", "result", sandbox, "run-1")
    tap.ok(done.out == b"1\n" and done.code == 4, "result gives it again", done)
    result = json.loads(cli("sandbox", "result", sandbox, "run-1", "--json").out)
    tap.ok(result["output"] == "1" and result["exec_id"] == "run-1", "result --json", result)
    done = cli("sandbox", "result", sandbox, "no-such-run")
    tap.ok(done.code == 125 and "no-such-run" in done.error, "an unknown exec id", done)
    cli.exec(sandbox, "mkfifo /tmp/gate")
    sleeper = cli.popen("sandbox", "exec", sandbox, "read line < /tmp/gate; echo $line", "--exec-id", "slow")
    tap.ok(until(lambda: cli.json("sandbox", "info", sandbox)["session_busy"]), "a command waits in the session")
    done = cli("sandbox", "result", sandbox, "slow", "--wait", "0.1")
    tap.ok(done.code == 125 and "still runs" in done.error, "result --wait of a command that runs", done)
    sleeper.send_signal(signal.SIGINT)
    error = sleeper.communicate(timeout=20)[1].decode()
    tap.ok(sleeper.returncode == 130 and f"sos sandbox result {sandbox} slow" in error,
           "^C in exec: 130, and how to get the result", sleeper.returncode, error)
    cli.exec("-s", sandbox, "echo opened > /tmp/gate")
    done = cli("sandbox", "result", sandbox, "slow")
    tap.ok(done.out == b"opened\n" and done.code == 0, "the command went on, its result is there", done)
    done = cli.exec(sandbox, "(sleep 0.1; echo from the back) & sleep 0.3", "--background")
    result = cli.exec(sandbox, "true", "--background")
    tap.ok(b"from the back" in done.out + done.err + result.err, "--background shows what jobs wrote", done, result)
    done = cli.exec(sandbox, "printf 'a\\0b'; (exit 6)", "--json")
    result = json.loads(done.out)
    tap.ok(done.code == 6 and result["output"] == "a\0b" and result["exit_code"] == 6, "exec --json", done)


def check_lists(tap, cli, sandbox):
    done = cli("sandbox", "list")
    lines = done.text.splitlines()
    row = [line.split() for line in lines if line.startswith(sandbox)][0]
    tap.ok(lines[0].split() == ["ID", "IMAGE", "STATUS", "STATE", "COMMANDS"] and row[2:4] == ["started", "started"] and
           int(row[4]) > 5, "list", done)
    tap.ok(b"\x1b" not in done.out, "no colours in a pipe", done)
    tap.ok(sandbox in cli("sandbox", "ls", "-q").text.split(), "list --quiet has ids only")
    tap.ok(any(item["id"] == sandbox for item in cli.json("sandbox", "list")), "list --json")
    for environment, coloured in ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False):
        terminal = Terminal(cli, "sandbox", "list", environment=environment)
        terminal.end()
        tap.ok((b"\x1b[" in terminal.seen) == coloured, f"colours on a terminal with {environment}: {coloured}",
               terminal.seen)
    done = cli("sandbox", "info", sandbox)
    fields = dict(line.split(maxsplit=1) for line in done.text.splitlines() if len(line.split(maxsplit=1)) == 2)
    tap.ok(fields["id"] == sandbox and fields["memory_bytes"] == "2048 MiB" and fields["shell"] == "bash" and
           fields["started_unix_ms"].startswith("20"), "info shows the fields", done)
    cli.exec(sandbox, "echo shown; (exit 2)")
    trajectory = json.loads(cli("sandbox", "trajectory", sandbox).out)
    commands = [entry["command"] for entry in trajectory["trajectory"]]
    tap.ok("echo shown; (exit 2)" in commands and "echo [$Q]" not in commands, "trajectory: session commands only", commands[:5])
    nul = [entry["result"]["output"] for entry in trajectory["trajectory"] if entry["command"].startswith("printf 'a\\0b'")]
    tap.ok(nul == ["a\0b"], "and a NUL in it survives", nul)
    done = cli("sandbox", "trajectory", sandbox, "-f")
    tap.ok(done.text.endswith("$ echo shown; (exit 2)\nshown\n") and "$ echo next\n" in done.text, "trajectory --formatted",
           done.text[-100:])
    terminal = Terminal(cli, "sandbox", "exec", sandbox, "printf x")
    terminal.end()
    tap.ok(terminal.seen == b"x\r\n", "on a terminal the last line is ended", terminal.seen)


def check_judge(tap, cli, image):
    sandbox = cli.started(image, "--network", "none")
    cli.exec(sandbox, "sleep 600 &")
    done = cli.exec("-s", sandbox, "ls -d /proc/[0-9]* | wc -l", "--judge")
    alive = int(done.out)
    tap.ok(done.code == 0 and alive <= 4, "--judge runs alone: PID 1, the shell, its two programs", done)
    cli.remove(sandbox)


def check_end(tap, cli, sandbox, image):
    done = cli.exec(sandbox, "echo bye; exit 9")
    tap.ok(done.out == b"bye\n" and done.code == 9, "exit ends the session with its code", done)
    done = cli.exec(sandbox, "echo x")
    tap.ok(done.code == 125 and not done.out and done.error.startswith("sos: "), "and then there is none", done)
    tap.ok(cli.exec("-s", sandbox, "echo s").out == b"s\n", "standalone commands still work")
    other = cli.create(image)
    done = cli("sandbox", "exec", other, "true")
    tap.ok(done.code == 125 and "start" in done.error, "exec before start says so", done)
    done = cli("sandbox", "start", sandbox)
    tap.ok(done.code == 125, "starting twice is an error", done)
    done = cli("sandbox", "stop", other, "99999999-2222-4333-8444-555555555555", sandbox)
    tap.ok(done.code == 125 and other in done.text and sandbox in done.text and "99999999" in done.error,
           "stop goes on after an id that is wrong", done)
    ids = cli("sandbox", "list", "-q").text.split()
    tap.ok(other in ids and sandbox in ids, "stopped ones are listed")
    done = cli("sandbox", "stop", "-r", other, sandbox)
    ids = cli("sandbox", "list", "-q").text.split()
    tap.ok(done.code == 0 and other not in ids and sandbox not in ids, "stop --remove forgets", done)


def check_serve(tap, cli, server_program):
    """serve becomes the server: found in the build tree, flags handed on, signals included."""
    done = cli("serve", "--help")
    direct = subprocess.run([server_program, "--help"], capture_output=True, check=False)
    tap.ok(done.code == 0 and done.out == direct.stdout, "serve --help is sos-server's", done)
    done = cli("serve", "--no-such-flag")
    tap.ok(done.code == 2 and "no-such-flag" in done.error, "serve hands its flags on", done)


def check_served(tap, cli, image):
    """And the server that it became serves, and ends by a signal to it."""
    process = cli.popen("serve", "--port", "0", "--pool", f"cli-test-{os.getpid()}-serve", "--max-sandboxes", "2",
                        "--log-level", "error")
    line = process.stderr.readline().decode()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    if tap.ok(found, "serve says where it listens", line):
        there = Cli(cli.program, found.group())
        sandbox = there.started(image, "--network", "none")
        tap.ok(there.exec(sandbox, "echo served").out == b"served\n", "a command on a server that serve started")
    process.terminate()
    process.communicate(timeout=60)
    tap.ok(process.returncode == 0, "SIGTERM ends it", process.returncode)


def run(tap, cli, image, server_program):
    cli.environment["SOS_TEST_OURS"] = "ours"
    os.environ.pop("SOS_TEST_UNSET", None)
    check_serve(tap, cli, server_program)
    check_served(tap, cli, image)
    check_readme(tap, cli, image)
    check_spec(tap, cli, image)
    check_pool(tap, cli, image)
    sandbox = cli.started(image, "--network", "none")
    check_exec(tap, cli, sandbox)
    check_limits(tap, cli, sandbox)
    check_results(tap, cli, sandbox)
    check_lists(tap, cli, sandbox)
    check_end(tap, cli, sandbox, image)
    check_judge(tap, cli, image)
