#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Black-box tests of the HTTP contract. Starts its own servers, each on a free port and with a pool of its own.

usage: run.py --server PROGRAM [--image REFERENCE] [--only NAME]      (SOS_TEST_IMAGE is the default image)
"""

import argparse
import os
import sys
import traceback

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "lib"))
sys.path.insert(0, here)

import access  # noqa: E402
import commands  # noqa: E402
import crowds  # noqa: E402
import fields  # noqa: E402
import framing  # noqa: E402
import life  # noqa: E402
import pool  # noqa: E402
import sandboxes  # noqa: E402
import waiting  # noqa: E402
from tap import Tap  # noqa: E402

MODULES = (framing, fields, access, sandboxes, commands, waiting, crowds, life, pool)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--image", default=os.environ.get("SOS_TEST_IMAGE", "sos-test:bash"))
    parser.add_argument("--only", help="tests whose name contains this")
    options = parser.parse_args()
    tap = Tap()
    for module in MODULES:
        tests = [t for t in module.TESTS if not options.only or options.only in t.__name__]
        if not tests:
            continue
        with module.environment(options) as environment:
            for test in tests:
                name = f"{module.__name__}: {(test.__doc__ or test.__name__).strip()}"
                try:
                    tap.empty([problem for problem in test(environment) if problem], name)
                except Exception:  # a point for every test, whatever happens
                    tap.ok(False, name, traceback.format_exc())
        if environment.server:
            status = environment.server.process.returncode
            tap.ok(status == 0, f"{module.__name__}: the server ends with 0", f"status {status}")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
