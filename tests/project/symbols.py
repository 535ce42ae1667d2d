#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exports = map = header, and every function is documented: symbols.py SOURCE_ROOT LIBSOS.SO LIBSOS.A"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tap import Tap  # noqa: E402


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def code_only(text):
    """C without comments, line by line the same."""
    return re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match.group()), text, flags=re.DOTALL)


def header_functions(header):
    """{name: line number} of the functions that the header declares."""
    code = re.sub(r"(?m)^[ \t]*#.*$", "", code_only(header))
    found = {}
    for match in re.finditer(r"\b(sos_\w+)\s*\([^;{}]*\)\s*;", code):
        before = code[:match.start()].rsplit("\n", 1)[-1]
        if not before.lstrip().startswith("typedef"):
            found[match.group(1)] = code[:match.start()].count("\n")
    return found


def documented(lines, number):
    """A comment in the block of lines around the declaration: above it without an empty line between, or beside it."""
    if "/*" in lines[number]:
        return True
    while number > 0 and lines[number - 1].strip():
        number -= 1
        if "*/" in lines[number] or "/*" in lines[number]:
            return True
    return False


def map_symbols(text):
    names = set()
    for node in re.findall(r"\{(.*?)\}", re.sub(r"/\*.*?\*/|#.*", "", text, flags=re.DOTALL), re.DOTALL):
        names |= set(re.findall(r"\b(\w+);", re.sub(r"local:.*", "", node, flags=re.DOTALL)))
    return names


def defined(program, *flags):
    output = subprocess.run(["nm", *flags, "--defined-only", program], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0]: line.split()[-2] for line in output.splitlines() if len(line.split()) == 3}


def main():
    root, shared, static = sys.argv[1:4]
    tap = Tap()
    header = read(root, "include/sos/sos.h")
    functions = header_functions(header)
    mapped = map_symbols(read(root, "libsos/libsos.map"))
    exported = {name for name, kind in defined(shared, "-D").items() if kind != "A"}
    tap.ok(len(functions) > 40, "the header declares functions", sorted(functions))
    tap.empty(sorted(mapped - set(functions)), "every symbol of the map is in the header")
    tap.empty(sorted(set(functions) - mapped), "every function of the header is in the map")
    tap.empty(sorted(exported - mapped), "every exported symbol is in the map")
    tap.empty(sorted(mapped - exported), "every symbol of the map is exported")

    private = [name for name, kind in defined(static).items() if kind in "TDBRC"
               and not name.startswith(("sos_", "SOS_", "__", "_GLOBAL_"))]
    tap.empty(sorted(private), "every global symbol of the static library begins with sos_")

    lines = header.split("\n")
    tap.empty([name for name, number in functions.items() if not documented(lines, number)],
              "every function has its comment in the header")
    pages = [os.path.join(base, name) for base, _, names in os.walk(os.path.abspath(root)) for name in names if name == "libsos.3.scd"]
    if tap.ok(len(pages) == 1, "there is one libsos(3)", pages):
        page = read(root, pages[0]).replace("\\_", "_")
        tap.empty([name for name in set(re.findall(r"\bsos_\w+(?=\()", page)) if name not in functions],
                  "libsos(3) names no function that is not there")

    soname = subprocess.run(["objdump", "-p", shared], capture_output=True, text=True, check=True).stdout
    tap.ok(re.search(r"SONAME\s+libsos\.so\.0\b", soname), "the soname is libsos.so.0")
    codes = re.findall(r"\bSOS_(?:ERROR_\w+|OK) = (-?\d+)", header)
    tap.ok([int(code) for code in codes] == [-n for n in range(len(codes))], "codes are numbered without gaps", codes)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
