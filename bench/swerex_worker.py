#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The SWE-ReX rows of the bench: a worker that sos-bench tells "N" on stdin and
that answers with N lines of nanoseconds, -1 for a failed call.

usage: swerex_worker.py IMAGE SITE_PACKAGES LABEL session|execute|start

session and execute talk to one server in a container of their own; start makes
a container, its server, a session and runs one command in it, N times. The
container's address is used directly, without the Engine's port proxy.
"""
import asyncio
import json
import logging
import os
import subprocess
import sys
import time

logging.disable(logging.CRITICAL)
os.environ["SWE_REX_LOG_STREAM_LEVEL"] = "CRITICAL"

from swerex.runtime.abstract import BashAction, Command, CreateBashSessionRequest  # noqa: E402
from swerex.runtime.remote import RemoteRuntime  # noqa: E402

IMAGE, SITE, LABEL, MODE = sys.argv[1:5]
TOKEN = "bench"


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def launch():
    return docker("run", "-d", "--label", LABEL, "-v", f"{SITE}:/opt/swerex:ro", "-e", "PYTHONPATH=/opt/swerex",
                  "--entrypoint", "python3", IMAGE, "-m", "swerex.server", "--auth-token", TOKEN)


async def connect(container):
    networks = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    address = next(iter(networks.values()))["IPAddress"]
    runtime = RemoteRuntime(auth_token=TOKEN, host=f"http://{address}", port=8000, timeout=5)
    await runtime.wait_until_alive(timeout=60)
    return runtime


async def in_session(runtime):
    answer = await runtime.run_in_session(BashAction(command="echo hi", timeout=10))
    return answer.output.strip() == "hi" and answer.exit_code == 0


async def execute(runtime):
    answer = await runtime.execute(Command(command=["bash", "-c", "echo hi"], timeout=10))
    return answer.stdout == "hi\n" and answer.exit_code == 0


async def start():
    container = launch()
    try:
        runtime = await connect(container)
        await runtime.create_session(CreateBashSessionRequest())
        right = await in_session(runtime)
        return right, time.monotonic_ns()
    finally:
        docker("rm", "-f", "-v", container)


async def measure(runtime):
    begin = time.monotonic_ns()
    try:
        if MODE == "start":
            right, end = await start()
        else:
            right = await (in_session if MODE == "session" else execute)(runtime)
            end = time.monotonic_ns()
    except Exception as problem:
        print(f"swerex_worker.py: {problem!r}", file=sys.stderr)
        return -1
    return end - begin if right else -1


async def main(answers):
    container = runtime = None
    if MODE != "start":
        container = launch()
    try:
        if container:
            runtime = await connect(container)
        if MODE == "session":
            await runtime.create_session(CreateBashSessionRequest())
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            for _ in range(int(line)):
                print(await measure(runtime), file=answers)
            answers.flush()
    finally:
        if container:
            docker("rm", "-f", "-v", container)


# The library prints on stdout; the answers need it for themselves.
with os.fdopen(os.dup(1), "w") as own_stdout:
    os.dup2(2, 1)
    asyncio.run(main(own_stdout))
