#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs of the bench as Markdown, for README.md: markdown.py RUN.json [MANY.json]..."""
import json
import sys

FACTS = (("cpu", "CPU"), ("cores", "cores"), ("memory_mb", "MB of memory"), ("kernel", "kernel"), ("system", "system"),
         ("engine", "Engine"), ("engine_api", "API"), ("storage_driver", "storage"), ("cgroup", "cgroup"),
         ("runtime", "runtime"), ("image", "image"))


def number(value):
    if value == 0:
        return "0"
    if abs(value) < 10:
        return f"{value:.3f}"
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def limit(target, name):
    if name not in target:
        return "", ""
    sign = ">=" if target["at_least"] else "<="
    met = target.get(f"{name}_met")
    return f"{sign} {target[name]:g}", "" if met is None else "met" if met else "**missed**"


def facts(run):
    machine = run["machine"]
    known = ", ".join(f"{name} {machine[fact]:.0f}" if isinstance(machine[fact], float) else f"{name} {machine[fact]}"
                      for fact, name in FACTS if machine.get(fact) not in (None, ""))
    loads = " and ".join(f"{machine[when]['load_1min']:.2f} {when}" for when in ("before", "after") if when in machine)
    many = f" {run['many']:.0f} sandboxes, {machine.get('seconds', 0):.0f} s." if run.get("many") else ""
    return f"{machine['time'][:10]}, commit `{machine.get('commit', 'unknown')}`: {known}; load {loads}.{many}"


def rows(run):
    yield "| | n | failed | p50 | p99 | | to its base |"
    yield "|---|---:|---:|---:|---:|---|---|"
    for row in run["rows"]:
        note = f" ({row['note']})" if "note" in row else ""
        if "p50" not in row:
            yield f"| {row['title']} | {row['n']:.0f} | {row['failures']:.0f} | - | - | | not measured{note} |"
            continue
        ratio = f"{row['ratio']:.3g} x `{row['base']}`" if "ratio" in row else ""
        yield (f"| {row['title']} (`{row['name']}`) | {row['n']:,.0f} | {row['failures']:,.0f} | {number(row['p50'])} "
               f"| {number(row['p99'])} | {row['unit']} | {ratio}{note} |")


def targets(run):
    yield "| # | Measure | Is | Must | | Goal | |"
    yield "|---|---|---:|---|---|---|---|"
    for target in run["targets"]:
        value = f"{number(target['is'])} {target['unit']}".strip() if "is" in target else "not measured"
        cells = " | ".join(cell for name in ("must", "goal") for cell in limit(target, name))
        yield f"| {target['id']} | `{target['what']}` | {value} | {cells} |"


def main(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        print(facts(run) + "\n")
        print("\n".join(targets(run)) + "\n")
        print("\n".join(rows(run)) + "\n")


if len(sys.argv) < 2:
    sys.exit(__doc__)
main(sys.argv[1:])
