# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program under test, run with pipes or on a terminal."""

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time


class Ended:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def error(self):
        return self.err.decode("utf-8", "replace")

    def __repr__(self):
        return f"code {self.code}, stdout {self.out[:2000]!r}, stderr {self.err[:2000]!r}"


class Cli:
    def __init__(self, program, url, **environment):
        self.program = os.path.abspath(program)
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("SOS_TOKEN", "NO_COLOR", "http_proxy", "HTTP_PROXY")}
        self.environment.update(SOS_SERVER=url, TERM="xterm", **environment)

    def __call__(self, *arguments, stdin=b"", timeout=120, environment=None):
        done = subprocess.run([self.program, *arguments], input=stdin, capture_output=True, timeout=timeout,
                              env={**self.environment, **(environment or {})}, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)

    def popen(self, *arguments, stdin=subprocess.DEVNULL):
        """With default signals: a test runner may have started us with SIGINT ignored."""
        return subprocess.Popen([self.program, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environment, restore_signals=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def shell(self, script, timeout=120, **environment):
        """What a user pastes into bash, `sos` being in PATH."""
        path = os.path.dirname(self.program) + ":" + os.environ["PATH"]
        done = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              env={**self.environment, "PATH": path, **environment}, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments):
        done = self(*arguments, "--json")
        if done.code:
            raise RuntimeError(f"sos {shlex.join(arguments)} --json: {done}")
        return json.loads(done.out)

    def create(self, image, *arguments):
        return self.json("sandbox", "create", "--image", image, *arguments)["id"]

    def started(self, image, *arguments):
        sandbox = self.create(image, *arguments)
        done = self("sandbox", "start", sandbox)
        if done.code:
            raise RuntimeError(f"start: {done}")
        return sandbox

    def exec(self, *arguments, **keywords):
        return self("sandbox", "exec", *arguments, **keywords)

    def remove(self, *sandboxes):
        self("sandbox", "stop", "--remove", *sandboxes)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, cli, *arguments, environment=None):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(cli.program, [cli.program, *arguments], {**cli.environment, **(environment or {})})

    def wait_for(self, pattern, seconds=60):
        """Read until the pattern shows in what was not matched yet; True if it did."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.matched = self.seen[:found.end()]
                self.seen = self.seen[found.end():]
                return True
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: the other side is closed
                return False
            if not data:
                return False
            self.seen += data

    def send(self, data):
        os.write(self.fd, data)

    def hang_up(self):
        os.close(self.fd)
        self.fd = -1

    def end(self, seconds=60):
        """The exit code; negative for a signal; None: it did not end."""
        if self.fd >= 0:
            self.wait_for(rb"(?!)", seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                if self.fd >= 0:
                    os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def until(condition, seconds=20):
    """Ask until it holds: for what only asking can tell."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
