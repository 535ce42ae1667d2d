#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two runs of the bench side by side: compare.py OLD.json NEW.json"""
import json
import sys


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main(old_path, new_path):
    old, new = load(old_path), load(new_path)
    for fact in sorted(set(old["machine"]) | set(new["machine"])):
        before, after = old["machine"].get(fact), new["machine"].get(fact)
        if before != after and fact not in ("time", "before", "after"):
            print(f"differs: {fact}: {before} / {after}")
    rows = {row["name"]: row for row in old["rows"]}
    print(f"{'':<28}{'old p50':>12}{'new p50':>12}{'new/old':>10}{'old ratio':>11}{'new ratio':>11}")
    for row in new["rows"]:
        before = rows.get(row["name"], {})
        if "p50" not in row or "p50" not in before:
            continue
        # Ratios to the floor of the same run say more than times where the machine was busier.
        print(f"{row['name']:<28}{before['p50']:>12.4g}{row['p50']:>12.4g}"
              f"{row['p50'] / before['p50'] if before['p50'] else 0:>10.2f}"
              f"{before.get('ratio', 0):>11.3g}{row.get('ratio', 0):>11.3g}")


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
