#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The layers of the house, read from the includes: layers.py SOURCE_ROOT

util <- wire <- engine <- core <- sos.h <- frontends; sos-init is a program beside them.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tap import Tap  # noqa: E402

# what a file of a folder may include of ours, by folder
MAY = {
    "libsos/util": {"util", "sos.h"},
    "libsos/wire": {"util", "wire", "sos.h"},
    "libsos/engine": {"util", "wire", "engine", "sos.h"},
    "libsos/core": {"util", "wire", "engine", "core", "sos.h"},
    "libsos/init": {"util", "wire", "init"},
    "sos-server": {"sos.h", "wire/utf8.h", "wire/base64.h"},
    "sos-cli": {"sos.h", "wire/utf8.h", "wire/base64.h"},
}
# header: the folders that may have one includer each
FOREIGN = {
    "curl/": ["libsos/engine", "sos-cli"],
    "cjson/": ["libsos/engine", "sos-cli"],
    "civetweb.h": ["sos-server"],
}
# wire/ is bytes in, values out: no descriptor, clock or lock
IMPURE = ("unistd.h", "fcntl.h", "poll.h", "pthread.h", "time.h", "signal.h", "sys/socket.h", "sys/un.h", "sys/stat.h",
          "sys/epoll.h", "sys/wait.h", "sys/mman.h", "sys/time.h", "sys/ioctl.h", "threads.h", "stdatomic.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
LIMIT = 500  # lines of a file
# compiled into the frontends too, which have no include path into libsos/
SHARED = ("libsos/wire/base64.c", "libsos/wire/utf8.c")


def files(root, folder, endings=(".c", ".h")):
    for base, folders, names in os.walk(os.path.join(root, folder)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.relpath(os.path.join(base, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def layer_of(root, folder, path, name):
    """What a quoted include means: a layer of the library, sos.h, a header of the folder itself, or None."""
    if os.path.exists(os.path.join(root, os.path.dirname(path), name)) and "/" not in name:
        return "own" if not folder.startswith("libsos/") else folder.split("/")[1]
    name = re.sub(r"^(\.\./)*(libsos/)?", "", name)
    if name in ("wire/utf8.h", "wire/base64.h") and not folder.startswith("libsos/"):
        return name
    return name.split("/")[0] if os.path.exists(os.path.join(root, "libsos", name)) else None


def check_folder(tap, root, folder):
    wrong, unknown, bare, impure = [], [], [], []
    for path in files(root, folder):
        for kind, name in INCLUDE.findall(read(root, path)):
            if name == "sos/sos.h":
                if "sos.h" not in MAY[folder]:
                    wrong.append(f"{path} includes {name}")
            elif kind == "<":
                if folder == "libsos/wire" and name in IMPURE:
                    impure.append(f"{path} includes <{name}>")
            else:
                layer = layer_of(root, folder, path, name)
                if layer is None:
                    if not os.path.exists(os.path.join(root, folder, name)):
                        unknown.append(f'{path}: "{name}"')
                elif layer != "own" and layer not in MAY[folder]:
                    wrong.append(f'{path} includes "{name}"')
                elif folder.startswith("libsos/") and "/" not in name and path not in SHARED:
                    bare.append(f'{path}: "{name}"')
    tap.empty(wrong, f"{folder} includes only what it may")
    tap.empty(unknown, f"{folder}: every quoted include is there")
    if folder.startswith("libsos/"):
        tap.empty(bare, f"{folder}: includes are written with their directory")
    if folder == "libsos/wire":
        tap.empty(impure, "libsos/wire has no descriptor, clock or lock")


def check_foreign(tap, root):
    for header, folders in FOREIGN.items():
        includers = {}
        for folder in MAY:
            for path in files(root, folder):
                if any(kind == "<" and name.startswith(header) for kind, name in INCLUDE.findall(read(root, path))):
                    includers.setdefault(folder, []).append(path)
        tap.empty([path for folder, paths in includers.items() if folder not in folders for path in paths],
                  f"{header} is included in {', '.join(folders)} only")
        tap.empty([path for paths in includers.values() if len(paths) > 1 for path in paths],
                  f"{header} has one includer a folder")


def check_files(tap, root):
    long, unmarked = [], []
    for folder in [*MAY, "include", "tests", "bench", "examples"]:
        for path in files(root, folder, (".c", ".h", ".py", ".sh")):
            text = read(root, path)
            if len(text.splitlines()) > LIMIT and path != "include/sos/sos.h":
                long.append(f"{path}: {len(text.splitlines())} lines")
            if "SPDX-License-Identifier: LGPL-2.1-or-later" not in "\n".join(text.splitlines()[:3]):
                unmarked.append(path)
    tap.empty(long, f"no file has more than {LIMIT} lines")
    tap.empty(unmarked, "every file names its licence")
    lines = len(read(root, "include/sos/sos.h").splitlines())
    tap.ok(lines <= 620, "the public header stays small", f"{lines} lines")


def main():
    root = sys.argv[1]
    tap = Tap()
    for folder in MAY:
        tap.ok(any(files(root, folder)), f"{folder} is there")
        check_folder(tap, root, folder)
    check_foreign(tap, root)
    check_files(tap, root)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
