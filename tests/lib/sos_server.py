# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private sos-server for a test: started on a free port, stopped at the end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """with Server(program, "--max-sandboxes", "4") as server: server.request("GET", "/healthz")"""

    def __init__(self, program, *arguments, environment=None):
        self.port = free_port()
        self.log = ""
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=None,
            env={**os.environ, **(environment or {})})

    def __enter__(self):
        self.wait_ready()
        return self

    def __exit__(self, *exception):
        self.stop()

    def wait_ready(self, seconds=30):
        """Until /readyz says 200: there is nothing to wait on but asking."""
        end = time.monotonic() + seconds
        answer = None
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self.process.returncode}")
            try:
                answer = self.request("GET", "/readyz")
                if answer[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"the server is not ready after {seconds} s: {answer}")

    def stop(self, seconds=60):
        """SIGTERM, then wait; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"the server had not ended {seconds} s after SIGTERM") from None
        return self.process.returncode

    def request(self, method, path, body=None, timeout=120):
        """(status, decoded JSON or text). A connection of its own; see Client for many requests."""
        client = Client(self.port, timeout)
        try:
            return client.request(method, path, body)
        finally:
            client.close()


class Client:
    """One kept-alive connection."""

    def __init__(self, port, timeout=120):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(self, method, path, body=None):
        headers = {}
        if body is not None:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.getheader("Content-Type", "").startswith("application/json") and data:
            return answer.status, json.loads(data)
        return answer.status, data.decode("utf-8", "replace")

    def close(self):
        self.connection.close()
