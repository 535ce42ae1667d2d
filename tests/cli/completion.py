# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completion file, asked as readline would."""

import os
import re
import subprocess

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "sos-cli", "sos.bash")
SCRIPT = r"""
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_sos
printf '%s\n' "${COMPREPLY[@]}"
"""


def complete(cli, *words):
    done = subprocess.run(["bash", "-c", SCRIPT, "complete", FILE, cli.program, *words], capture_output=True, check=False,
                          env=cli.environment, timeout=20)
    return set(done.stdout.decode().split()), done.stderr.decode()


def options_of(cli, *command):
    """The long options that its help has."""
    return set(re.findall(r"--[a-z][a-z-]+", cli(*command, "--help").text.split("Examples:")[0]))


def run(tap, cli, sandbox):
    cases = [
        (["s"], {"serve", "sandbox", "session"}),
        (["sandbox", "st"], {"start", "stop"}),
        (["sandbox", "-s", "http://x", "cr"], {"create"}),
        (["sandbox", "create", "--network", ""], {"bridge", "none"}),
        (["sandbox", "exec", sandbox[:4]], {sandbox}),
        (["sandbox", "exec", "--st"], {"--standalone", "--stdin"}),
        (["sandbox", "stop", sandbox, "--r"], {"--remove"}),
        (["session", "--pro"], {"--profile"}),
        (["help", "sa"], {"sandbox"}),
        (["po"], {"pool"}),
        (["pool", "w"], {"warm"}),
        (["pool", "warm", "ubuntu", "4", "--pro"], {"--profile"}),
        (["pool", "warm", ""], set()),
        (["serve", "--warm-policy", "a"], {"adaptive"}),
        (["sandbox", "create", "--image", ""], set()),
    ]
    for words, want in cases:
        got, error = complete(cli, *words)
        tap.ok(got == want and not error, f"completion of: sos {' '.join(words).replace(sandbox, 'ID')}", got, error)
    for command in ["sandbox", "create"], ["sandbox", "exec"], ["sandbox", "list"], ["sandbox", "stop"], ["session"], ["serve"], \
            ["pool"], ["pool", "warm"]:
        known = complete(cli, *command, "--")[0]
        missing = options_of(cli, *command) - known - {"--version", "--help"}
        tap.ok(not missing, f"completion knows the options of sos {' '.join(command)}", missing)
