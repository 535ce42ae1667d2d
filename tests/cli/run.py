#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line as a black box: run.py --server PROGRAM --sos PROGRAM

Starts servers of its own on free ports; needs an Engine and the image of SOS_TEST_IMAGE.
"""

import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]

import broken  # noqa: E402
import completion  # noqa: E402
import repl  # noqa: E402
import usage  # noqa: E402
import waiting  # noqa: E402
import workflow  # noqa: E402
from cli import Cli  # noqa: E402
from sos_server import Server  # noqa: E402
from tap import Tap  # noqa: E402


def serve(program, name, *arguments):
    return Server(program, "--pool", f"cli-test-{os.getpid()}-{name}", "--log-level", "warn", *arguments)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--sos", required=True)
    options = parser.parse_args()
    image = os.environ.get("SOS_TEST_IMAGE", "sos-test:bash")
    tap = Tap()
    with tempfile.TemporaryDirectory() as directory:
        alone = Cli(options.sos, "http://127.0.0.1:1", XDG_STATE_HOME=directory)
        usage.run(tap, alone)
        broken.run(tap, alone, directory)
        with serve(options.server, "main") as server:
            cli = Cli(options.sos, f"http://localhost:{server.port}", XDG_STATE_HOME=directory)
            repl.run(tap, cli, image, directory)
            completion.run(tap, cli, cli.create(image))
            workflow.run(tap, cli, image, options.server)
        with serve(options.server, "one", "--max-sandboxes", "1") as server:
            waiting.run(tap, Cli(options.sos, f"http://127.0.0.1:{server.port}"), image)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
