#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adds up the points of a `meson test` run: count.py testlog.json NAME STATUS

Prints "PASSED FAILED" to descriptor 3 and the failures to stdout. A TAP test counts its points; another test is one
point. A program that crashed, hung or broke its plan, a skipped point, an empty run and a status of meson's that the
points do not explain are failures.
"""

import json
import os
import re
import sys

POINT = re.compile(r"^(not )?ok\b(?:\s+\d+)?(?:\s*-?\s*)(.*)$")


def points(stdout):
    """[whether it passed, its name, the comment lines after it] of each."""
    found = []
    for line in stdout.splitlines():
        match = POINT.match(line)
        if match:
            good = not match.group(1) and not re.search(r"#\s*SKIP", match.group(2), re.IGNORECASE)
            found.append((good, match.group(2), []))
        elif line.startswith("#") and found:
            found[-1][2].append(line)
    return found


def main():
    path, build, status = sys.argv[1], sys.argv[2], int(sys.argv[3])
    passed = failed = tests = 0
    try:
        with open(path, encoding="utf-8") as file:
            runs = [json.loads(line) for line in file]
    except OSError as error:
        print(f"FAILED: {build}: {error}")
        runs = []
    for run in runs:
        tests += 1
        found = points(run.get("stdout") or "")
        bad = [point for point in found if not point[0]]
        passed += len(found) - len(bad)
        failed += len(bad)
        for _, name, comments in bad:
            print(f"FAILED: {build}: {run['name']}: {name}", *comments[:8], sep="\n    ")
        if not found and run["result"] == "OK":
            passed += 1
        elif run["result"] != "OK" and not bad:
            failed += 1
            print(f"FAILED: {build}: {run['name']}: {run['result']}, status {run.get('returncode')}")
    if not tests or (status and not failed):
        failed += 1
        print(f"FAILED: {build}: {tests} tests ran and meson's status is {status}")
    print(f"== {build}: {tests} programs, {passed} passed, {failed} failed")
    sys.stdout.flush()
    os.write(3, f"{passed} {failed}\n".encode())


if __name__ == "__main__":
    main()
