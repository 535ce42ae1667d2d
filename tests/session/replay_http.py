#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replays session cases over HTTP against a sos-server that it starts itself. One TAP point a case.

usage: replay_http.py --server PROGRAM [--image REFERENCE] [--jobs N] [--only NAME] FILE...
"""

import argparse
import base64
import hashlib
import json
import os
import queue
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sos_server import Client, Server  # noqa: E402

STEP_LIMIT_S = 30
SPACE = " \t\n\v\f\r"


def text(node):
    """The bytes of a text of a case file."""
    if isinstance(node, str):
        return node.encode()
    if isinstance(node, list):
        return b"".join(text(part) for part in node)
    if "hex" in node:
        return bytes.fromhex(node["hex"])
    return text(node["repeat"]) * node["count"]


def short(data):
    return repr(data[:700]) + (f"... ({len(data)} bytes)" if len(data) > 700 else "")


def check_output(step, output):
    wanted = step.get("output")
    if wanted is not None and text(wanted) != output:
        return f"output is {short(output)}, want {short(text(wanted))}"
    for part in step.get("output_contains", []):
        if text(part) not in output:
            return f"output {short(output)} has no {part!r}"
    for part in step.get("output_lacks", []):
        if text(part) in output:
            return f"output {short(output)} has a {part!r}"
    if "output_bytes" in step and len(output) != step["output_bytes"]:
        return f"output has {len(output)} bytes, want {step['output_bytes']}"
    if "output_sha256" in step and hashlib.sha256(output).hexdigest() != step["output_sha256"]:
        return f"output ({len(output)} bytes) has another sha256"
    if "output_matches" in step and not re.search(step["output_matches"].replace("[[]", r"\[").encode(), output):
        return f"output {short(output)} does not match {step['output_matches']!r}"
    return None


def check(step, answer):
    encoded = step_encoding(step) is not None
    output = base64.b64decode(answer["output"]) if encoded else answer["output"].encode()
    if encoded and not step.get("standalone"):
        output = output.rstrip(SPACE.encode())
    why = check_output(step, output)
    if why:
        return why
    if answer["stdout"] != answer["output"] or answer["stderr"]:
        return "stdout is not output, or stderr is not empty"
    for flag in ("timed_out", "exited", "session_lost"):
        if bool(answer[flag]) != bool(step.get(flag)):
            return f"{flag} is {answer[flag]}"
    if "exit_code" in step and answer["exit_code"] != step["exit_code"]:
        return f"exit_code is {answer['exit_code']}, want {step['exit_code']}"
    if "within_ms" in step and answer["duration_ms"] > step["within_ms"]:
        return f"took {answer['duration_ms']} ms, want at most {step['within_ms']}"
    if "background_output" in step and answer["background_output"].encode() != text(step["background_output"]):
        return f"background_output is {answer['background_output']!r}"
    return None


def step_encoding(step):
    return "base64" if isinstance(step.get("output"), dict) and "hex" in step["output"] else None


class Run:
    def __init__(self, server, cases, image):
        self.server = server
        self.image = image
        self.cases = queue.Queue()
        for case in cases:
            self.cases.put(case)
        self.lock = threading.Lock()
        self.points = self.failures = 0

    def point(self, name, why):
        with self.lock:
            self.points += 1
            self.failures += why is not None
            print(f"{'not ok' if why else 'ok'} {self.points} - {name}")
            if why:
                print(f"# {name}: " + why.replace("\n", "\\n"))
            sys.stdout.flush()

    def worker(self):
        while True:
            try:
                case = self.cases.get_nowait()
            except queue.Empty:
                return
            try:
                why = self.run_case(case)
            except Exception as error:  # a point for every case, whatever happens
                why = f"{type(error).__name__}: {error}"
            self.point(case["name"], why)

    def run_case(self, case):
        client = Client(self.server.port, STEP_LIMIT_S + 30)
        body = {"image": case.get("image", self.image), "network": "none",
                "setup_commands": case.get("setup_commands", [])}
        for name in ("environment", "user", "working_directory"):
            if name in case:
                body[name] = case[name]
        status, answer = client.request("POST", "/sandboxes", body)
        if status != 200:
            return f"create: {status} {answer}"
        path = "/sandboxes/" + answer["id"]
        try:
            status, answer = client.request("POST", path + "/start")
            if status != 200:
                return f"start: {status} {answer}"
            return self.run_steps(client, path, case["steps"])
        finally:
            client.close()
            self.server.request("DELETE", path)

    def run_steps(self, client, path, steps):
        lost = False
        for number, step in enumerate(steps, 1):
            if lost and not step.get("standalone"):
                continue
            body = {"command": text(step["command"]).decode(), "standalone": step.get("standalone")}
            if "timeout_ms" in step:
                body["timeout_ms"] = step["timeout_ms"]
            if step_encoding(step):
                body["encoding"] = step_encoding(step)
            try:
                status, answer = client.request("POST", path + "/exec", body)
            except TimeoutError:
                return f"step {number} hung"
            if step.get("any"):
                continue
            if "error" in step:
                if status != 400:
                    return f"step {number}: {status} {answer}, want 400"
            elif step.get("may_lose_session") and (
                    status == 400 or status == 200 and (
                        answer["session_lost"] or answer["exited"] and not answer["timed_out"])):
                lost = True
            elif status != 200:
                return f"step {number}: {status} {answer}"
            else:
                why = check(step, answer)
                if why:
                    return f"step {number}: {why}"
        return None


def read_cases(paths, only):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    case = json.loads(line)
                    if only is None or case["name"] == only:
                        yield case


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--image", default="sos-test:bash")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    with Server(options.server, "--max-sandboxes", str(options.jobs), "--log-level", "warn") as server:
        run = Run(server, list(read_cases(options.files, options.only)), options.image)
        threads = [threading.Thread(target=run.worker) for _ in range(options.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run.point("the server ends by SIGTERM with status 0", None if server.stop() == 0 else "another status")
    print(f"1..{run.points}")
    return 1 if run.failures or not run.points else 0


if __name__ == "__main__":
    sys.exit(main())
