#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bench's own judgement, on made-up runs: bench.py SOURCE_ROOT

What bench/compare calls moved, what bench/markdown.py prints, and that every target of bench/rows.c is about rows
that exist and README.md explains.
"""

import copy
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tap import Tap  # noqa: E402

ROOT = sys.argv[1]


def row(name, rounds, **more):
    return {"name": name, "title": f"title of {name}", "unit": "ms", "more_is_better": False, "n": 100 * len(rounds),
            "failures": 0, "p50": sorted(rounds)[len(rounds) // 2], "p99": max(rounds), "rounds": rounds, **more}


def run(*rows):
    return {"machine": {"time": "2026-01-01T00:00:00Z", "cores": 2.0, "commit": "abc", "before": {"load_1min": 0.5},
                        "after": {"load_1min": 0.75}}, "many": 0.0, "rows": list(rows), "targets": []}


def tool(name, *runs):
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for i, one in enumerate(runs):
            paths.append(os.path.join(directory, f"{i}.json"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(one if isinstance(one, str) else json.dumps(one))
        done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", name), *paths], capture_output=True,
                              text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def compared(old, new):
    """Exit status and, by row, what compare says at the end of its line."""
    status, output, errors = tool("compare", old, new)
    said = {}
    for one in old["rows"] + new["rows"]:
        for line in output.splitlines():
            if line.startswith(one["name"] + " "):
                said[one["name"]] = line
    return status, said, output + errors


STEADY = [1.00, 1.01, 0.99, 1.02, 0.98, 1.00, 1.01, 0.99]


def scaled(values, factor):
    return [value * factor for value in values]


def check_compare(tap):
    status, said, text = compared(run(row("a", STEADY)), run(row("a", scaled(STEADY, 1.005))))
    tap.ok(status == 0 and not said["a"].endswith(("better", "worse")), "less than the noise is no move", text)
    status, said, text = compared(run(row("a", STEADY)), run(row("a", scaled(STEADY, 1.1))))
    tap.ok(status == 1 and said["a"].endswith("  worse"), "more than the noise is one, and slower is worse", text)
    status, said, text = compared(run(row("a", STEADY)), run(row("a", scaled(STEADY, 0.9))))
    tap.ok(status == 0 and said["a"].endswith("  better"), "faster is better", text)
    status, said, text = compared(run(row("a", STEADY, more_is_better=True)),
                                  run(row("a", scaled(STEADY, 0.9), more_is_better=True)))
    tap.ok(status == 1 and said["a"].endswith("  worse"), "a lower rate is worse", text)
    wild = [1.0, 1.5, 0.6, 1.4, 0.7, 1.3, 0.8, 1.0]
    status, said, text = compared(run(row("a", wild)), run(row("a", scaled(wild, 1.1))))
    tap.ok(status == 0 and not said["a"].endswith("worse"), "the same change in a noisy row is no move", text)
    status, said, text = compared(run(row("a", [1.0])), run(row("a", [2.0])))
    tap.ok(status == 0 and said["a"].endswith("not judged"), "one round is not judged", text)


def check_bases(tap):
    old = run(row("floor", STEADY), row("a", scaled(STEADY, 2), base="floor", ratio=2.0))
    slower = run(row("floor", scaled(STEADY, 1.5)), row("a", scaled(STEADY, 3), base="floor", ratio=2.0))
    status, said, text = compared(old, slower)
    tap.ok(status == 1 and said["a"].endswith("moved with its base"), "a slower machine moves both", text)
    worse = run(row("floor", scaled(STEADY, 1.5)), row("a", scaled(STEADY, 4), base="floor", ratio=2.67))
    status, said, text = compared(old, worse)
    tap.ok(status == 1 and said["a"].endswith("  worse"), "one that became slower than its base tells is worse", text)
    hidden = run(row("floor", scaled(STEADY, 0.5)), row("a", scaled(STEADY, 2), base="floor", ratio=4.0))
    status, said, text = compared(old, hidden)
    tap.ok(said["a"].endswith("  worse") and said["floor"].endswith("  better"),
           "one that did not follow its base is worse", text)


def check_odd(tap):
    old, new = run(row("a", STEADY), row("b", STEADY)), run(row("a", STEADY, failures=3), row("c", STEADY))
    status, said, text = compared(old, new)
    tap.ok(status == 1 and "FAILED CALLS: 0 / 3" in said["a"], "more failed calls are worse", text)
    tap.ok("only in the old run" in said["b"] and "only in the new run" in said["c"], "rows of one run are named", text)
    missing = copy.deepcopy(old)
    del missing["rows"][1]["p50"]
    status, said, text = compared(old, missing)
    tap.ok("only in the old run" in said["b"], "a row that was not measured is named", text)
    for text in ("", "[]", '{"rows": 1}', "{}"):
        status, _, errors = tool("compare", text, old)
        tap.ok(status == 2 and "no run of the bench" in errors, f"{text!r} is refused", errors)


def check_markdown(tap):
    one = run(row("a", STEADY, base="a", ratio=1.0), row("b", STEADY, note="a note"))
    del one["rows"][1]["p50"]
    one["targets"] = [{"id": "G1", "what": "a", "unit": "ms", "at_least": False, "is": 1.0, "must": 1.5,
                       "must_met": True, "goal": 0.5, "goal_met": False},
                      {"id": "G2", "what": "b", "unit": "ms", "at_least": True, "goal": 5.0}]
    status, output, errors = tool("markdown.py", one)
    tap.ok(status == 0 and "| G1 | `a` | 1.000 ms | <= 1.5 | met | <= 0.5 | **missed** |" in output,
           "targets are printed with must and goal", output, errors)
    tap.ok("| G2 | `b` | not measured |  |  | >= 5 |  |" in output, "what was not measured is not judged", output)
    tap.ok("not measured (a note)" in output, "a row without samples says why", output)
    widths = {line.count("|") for line in output.splitlines() if line.startswith(("| G", "| #"))}
    tap.ok(widths == {8}, "all lines of a table have the same cells", output)


def check_rows(tap):
    with open(os.path.join(ROOT, "bench", "rows.c"), encoding="utf-8") as file:
        text = file.read()
    table, targets = text.split("const struct bench_target bench_targets[]")
    names = re.findall(r'^\t\{ "([a-z0-9.]+)", "', table, re.MULTILINE)
    bases = re.findall(r'"(?:ms|MB/s|kB|B|1/s|)", "([a-z0-9.]+)"', table)
    asked = [name for line in re.findall(r'^\t\{ "G.*', targets, re.MULTILINE)
             for name in re.findall(r'"([a-z][a-z0-9.]+)"', line)]
    tap.ok(len(names) > 60 and len(names) == len(set(names)), "rows have names of their own", names)
    tap.empty([name for name in bases if name not in names], "every base is a row")
    tap.ok(len(asked) > 40, "targets were found", asked)
    tap.empty([name for name in asked if name not in names], "every target is about rows")
    sources = "".join(open(os.path.join(ROOT, "bench", name), encoding="utf-8").read()
                      for name in os.listdir(os.path.join(ROOT, "bench")) if name.endswith(".c") and name != "rows.c")
    made = ("open.", "cycles.", "start.")  # their names are put together
    tap.empty([name for name in names if f'"{name}"' not in sources and not name.startswith(made)],
              "every row is filled somewhere")
    with open(os.path.join(ROOT, "bench", "README.md"), encoding="utf-8") as file:
        patterns = [re.sub("^…", "*", pattern) for pattern in re.findall(r"`([a-z…][a-z0-9.…*]*)`", file.read())]
    tap.empty([name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)],
              "README.md explains every row")


def main():
    tap = Tap()
    check_compare(tap)
    check_bases(tap)
    check_odd(tap)
    check_markdown(tap)
    check_rows(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
