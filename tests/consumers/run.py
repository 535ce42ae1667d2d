#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uses the library as others would: run.py SOURCE_ROOT BUILD_ROOT IMAGE

Installs the build into a directory of its own; builds and runs a consumer by pkg-config, shared and static, in C99,
C11 and C++, and as a meson subproject; builds the examples against the installed package.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from tap import Tap  # noqa: E402

WARN = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-missing-field-initializers"]
INSTALLED = ["include/sos/sos.h", "bin/sos", "bin/sos-server", "lib*/**/libsos.so.0", "lib*/**/libsos.so",
             "lib*/**/libsos.a", "lib*/**/pkgconfig/sos.pc", "share/man/man1/sos.1*", "share/man/man8/sos-server.8*",
             "share/man/man3/libsos.3*", "share/bash-completion/completions/sos"]

EXAMPLES = {"agent.c": ["-i", "{image}", "10"], "readme.c": ["{image}"]}


class Consumers:
    def __init__(self, tap, source, build, image, scratch):
        self.tap, self.source, self.build, self.image, self.scratch = tap, source, build, image, scratch
        self.prefix = None
        self.failed_output = ""

    def run(self, *command, environment=None, cwd=None):
        """Without the caller's LD_LIBRARY_PATH, which would hide that something is not found."""
        ours = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, errors="replace",
                              env={**ours, **(environment or {})}, timeout=900)
        self.failed_output = f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def install(self):
        """Into scratch/installed, its .pc rewritten to where it now lies."""
        destination = os.path.join(self.scratch, "destination")
        done = self.run("meson", "install", "-C", self.build, "--no-rebuild", "--destdir", destination)
        if not self.tap.ok(done.returncode == 0, "install", self.failed_output):
            return False
        pc = glob.glob(destination + "/**/sos.pc", recursive=True)
        if not self.tap.ok(len(pc) == 1, "one sos.pc", pc):
            return False
        with open(pc[0], encoding="utf-8") as file:
            text = file.read()
        self.prefix = destination + re.search(r"(?m)^prefix=(.*)$", text).group(1)
        with open(pc[0], "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^prefix=.*$", f"prefix={self.prefix}", text))
        self.tap.empty([name for name in INSTALLED if not glob.glob(os.path.join(self.prefix, name), recursive=True)],
                       "everything is installed")
        return True

    def libdir(self, prefix):
        return os.path.dirname(glob.glob(prefix + "/lib*/**/libsos.a", recursive=True)[0])

    def flags(self, prefix, *arguments):
        done = self.run("pkg-config", *arguments, "sos",
                        environment={"PKG_CONFIG_PATH": os.path.join(self.libdir(prefix), "pkgconfig")})
        self.tap.ok(done.returncode == 0, f"pkg-config {' '.join(arguments)}", self.failed_output)
        return done.stdout.split()

    def says_hello(self, program, name, environment=None):
        done = self.run(program, self.image, environment=environment)
        self.tap.ok(done.returncode == 0 and re.fullmatch(r"\d+\.\d+\.\d+ hello from bash\n", done.stdout),
                    f"{name}: it runs a command in a sandbox", self.failed_output)

    def programs(self):
        """What was installed runs as it lies there, in whatever directory and without a linker cache that knows it."""
        for arguments, said in ((["sos-server", "--version"], "sos-server "), (["sos", "--version"], "sos "),
                                (["sos", "serve", "--version"], "sos-server ")):
            done = self.run(os.path.join(self.prefix, "bin", arguments[0]), *arguments[1:])
            self.tap.ok(done.returncode == 0 and done.stdout.startswith(said), f"installed: {' '.join(arguments)}",
                        self.failed_output)

    def own_path(self):
        """A consumer of a library that no linker cache knows: with a run path it needs no variable."""
        libdir = self.flags(self.prefix, "--variable=libdir")
        program = os.path.join(self.scratch, "own-path")
        done = self.run("cc", *WARN, *self.flags(self.prefix, "--cflags"), os.path.join(HERE, "consumer.c"),
                        *self.flags(self.prefix, "--libs"), "-Wl,-rpath," + "".join(libdir), "-o", program)
        if self.tap.ok(done.returncode == 0, "shared, with a run path: it links", self.failed_output):
            self.says_hello(program, "shared, with a run path")

    def shared(self):
        cflags, libs = self.flags(self.prefix, "--cflags"), self.flags(self.prefix, "--libs")
        environment = {"LD_LIBRARY_PATH": self.libdir(self.prefix)}
        consumer = os.path.join(HERE, "consumer.c")
        for name, compiler in {"C99": ["cc", "-std=c99"], "C11": ["cc", "-std=c11"], "C17": ["cc", "-std=c17"],
                               "C++11": ["c++", "-std=c++11", "-x", "c++"],
                               "C++17": ["c++", "-std=c++17", "-x", "c++"],
                               "C++20": ["c++", "-std=c++20", "-x", "c++"]}.items():
            program = os.path.join(self.scratch, "shared-" + name)
            done = self.run(*compiler, *WARN, *cflags, consumer, "-x", "none", *libs, "-o", program)
            if self.tap.ok(done.returncode == 0, f"shared, {name}: it compiles and links", self.failed_output) \
                    and name in ("C99", "C++17"):
                self.says_hello(program, f"shared, {name}", environment)
        done = self.run("objdump", "-p", os.path.join(self.scratch, "shared-C99"))
        needed = re.findall(r"NEEDED\s+(\S+)", done.stdout)
        self.tap.ok("libsos.so.0" in needed and not any("curl" in name or "cjson" in name for name in needed),
                    "shared: it needs libsos and not what libsos needs", needed)
        for name, arguments in EXAMPLES.items():
            program = os.path.join(self.scratch, name + ".out")
            done = self.run("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers",
                            *cflags, os.path.join(self.source, "examples", name), *libs, "-pthread", "-o", program)
            if self.tap.ok(done.returncode == 0, f"examples/{name} against the installed package", self.failed_output):
                done = self.run(program, *(argument.format(image=self.image) for argument in arguments),
                                environment=environment)
                self.tap.ok(done.returncode == 0 and done.stdout, f"examples/{name} runs to its end",
                            self.failed_output)
        self.tap.ok(sorted(EXAMPLES) == sorted(map(os.path.basename, glob.glob(self.source + "/examples/*.c"))),
                    "every example is one of these")

    def static(self):
        """The installed tree without its shared library, so that -lsos can only be the static one."""
        prefix = self.prefix + "-static"
        shutil.copytree(self.prefix, prefix, symlinks=True)
        for path in glob.glob(self.libdir(prefix) + "/libsos.so*"):
            os.unlink(path)
        pc = os.path.join(self.libdir(prefix), "pkgconfig", "sos.pc")
        with open(pc, encoding="utf-8") as file:
            text = file.read()
        with open(pc, "w", encoding="utf-8") as file:
            file.write(text.replace(self.prefix, prefix))
        program = os.path.join(self.scratch, "static")
        done = self.run("cc", "-std=c99", *WARN, *self.flags(prefix, "--static", "--cflags"),
                        os.path.join(HERE, "consumer.c"), *self.flags(prefix, "--static", "--libs"), "-o", program)
        if self.tap.ok(done.returncode == 0, "static: it links by pkg-config --static", self.failed_output):
            self.says_hello(program, "static")

    def subproject(self):
        project = os.path.join(self.scratch, "subproject")
        os.makedirs(os.path.join(project, "subprojects"))
        os.symlink(os.path.abspath(self.source), os.path.join(project, "subprojects", "sos"))
        shutil.copy(os.path.join(HERE, "consumer.c"), project)
        with open(os.path.join(project, "meson.build"), "w", encoding="utf-8") as file:
            file.write("project('consumer', 'c', default_options: ['c_std=c99'])\n"
                       "sos = dependency('sos', fallback: ['sos', 'libsos_dep'],\n"
                       "  default_options: ['tests=false', 'bench=false', 'man=disabled'])\n"
                       "executable('consumer', 'consumer.c', dependencies: sos)\n")
        build = os.path.join(project, "build")
        done = self.run("meson", "setup", "--wrap-mode=forcefallback", build, project)
        if self.tap.ok(done.returncode == 0, "subproject: it configures", self.failed_output):
            done = self.run("ninja", "-C", build, "consumer")
            if self.tap.ok(done.returncode == 0, "subproject: it builds", self.failed_output):
                self.says_hello(os.path.join(build, "consumer"), "subproject")


def main():
    source, build, image = sys.argv[1:4]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="sos-consumers-") as scratch:
        consumers = Consumers(tap, source, build, image, scratch)
        if consumers.install():
            consumers.programs()
            consumers.own_path()
            consumers.shared()
            consumers.static()
        consumers.subproject()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
