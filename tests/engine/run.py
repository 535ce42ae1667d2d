#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run the engine layer's test on a real Engine, over its socket, over TCP and over TLS.

Makes a tiny image, a registry (Debian's docker-registry) that holds it, a second one that misbehaves, and a TLS
front of the Engine; removes all of it. usage: run.py PROGRAM [socket|tcp|tls]...
"""
import http.client
import http.server
import io
import json
import os
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.parse

PREFIX = f"sos-test-engine-{os.getpid()}"
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


class Engine(http.client.HTTPConnection):
    """The Engine's API for preparing and cleaning up: not the code under test."""

    def __init__(self):
        super().__init__("docker")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET.removeprefix("unix://"))

    def call(self, method, path, body=None, headers={}, fine=(200, 201, 204)):
        self.request(method, path, body, headers)
        reply = self.getresponse()
        text = reply.read().decode()
        if reply.status not in fine or '"error"' in text:
            raise RuntimeError(f"{method} {path}: {reply.status} {text}")
        return text


def tiny_image():
    """busybox and what it is called by, as a tar."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise RuntimeError("no busybox: apt-get install busybox-static")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in "sh cat ls grep sleep touch echo".split():
            link = tarfile.TarInfo("bin/" + name)
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return data.getvalue()


def start_registry(folder):
    """A real registry on a port of its own choice; it says which on stderr."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        raise RuntimeError("no docker-registry: apt-get install docker-registry")
    config = os.path.join(folder, "registry.yml")
    with open(config, "w") as file:
        file.write("version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: " + folder + "/blobs}\n"
                   "http: {addr: '127.0.0.1:0'}\n")
    process = subprocess.Popen([program, "serve", config], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in process.stderr:
        if "listening on" in line:
            port = int(line.split("listening on 127.0.0.1:")[1].split('"')[0].split(",")[0])
            threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
            return process, port
    raise RuntimeError("the registry ended: " + str(process.wait()))


class BadRegistry(http.server.BaseHTTPRequestHandler):
    """`broken` has a manifest whose parts are not there; `hanging` never answers."""

    def do_GET(self):
        if "/hanging/" in self.path:
            self.server.over.wait()
        body, status = b"{}", 200
        if "/manifests/" in self.path:
            part = {"digest": "sha256:" + "0" * 64, "size": 100}
            body = json.dumps({
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": dict(part, mediaType="application/vnd.docker.container.image.v1+json"),
                "layers": [dict(part, mediaType="application/vnd.docker.image.rootfs.diff.tar.gzip")],
            }).encode()
        elif "/blobs/" in self.path:
            status = 404
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class Front(threading.Thread):
    """Every connection, with or without TLS, is one to the Engine's socket."""

    def __init__(self, context=None):
        super().__init__(daemon=True)
        self.context, self.listener = context, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        engine = socket.socket(socket.AF_UNIX)
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            engine.connect(SOCKET.removeprefix("unix://"))
            back = threading.Thread(target=self.copy, args=(engine, client), daemon=True)
            back.start()
            self.pump(client, engine)
        except (OSError, ssl.SSLError):
            pass
        finally:
            for end in (engine, client):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def pump(self, client, engine):
        # TLS sockets of Python are not for two threads: this one reads when there is something to read.
        while True:
            if not (self.context and client.pending()):
                select.select([client], [], [])
            data = client.recv(65536)
            if not data:
                return
            engine.sendall(data)

    def copy(self, engine, client):
        try:
            while data := engine.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except (OSError, ssl.SSLError):
            pass


def certificates(folder):
    """A CA, a server's and a client's certificate, with the names that DOCKER_CERT_PATH wants."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=folder, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    for name, extension in ("server", "subjectAltName=IP:127.0.0.1"), ("", "extendedKeyUsage=clientAuth"):
        key, cert = (name + "-" if name else "") + "key.pem", (name + "-" if name else "") + "cert.pem"
        with open(os.path.join(folder, "extension"), "w") as file:
            file.write(extension)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", "request", "-subj", "/CN=" + (name or "client"))
        openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-out", cert,
                "-days", "2", "-extfile", "extension")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/server-cert.pem", folder + "/server-key.pem")
    context.load_verify_locations(folder + "/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def clean_up():
    query = "?all=1&filters=" + urllib.parse.quote(json.dumps({"label": ["sos.test.engine=" + PREFIX]}))
    engine = Engine()
    for container in json.loads(engine.call("GET", "/containers/json" + query)):
        engine.call("DELETE", f"/containers/{container['Id']}?force=1&v=1", fine=(204, 404, 409))
    for network in json.loads(engine.call("GET", "/networks" + query)):
        engine.call("DELETE", "/networks/" + network["Id"], fine=(204, 404))
    for volume in json.loads(engine.call("GET", "/volumes" + query))["Volumes"] or []:
        engine.call("DELETE", "/volumes/" + volume["Name"], fine=(204, 404))


def remove_images(names):
    for name in names:
        Engine().call("DELETE", f"/images/{name}?force=1", fine=(200, 404))


def main(program, ways):
    folder = tempfile.mkdtemp(prefix="sos-test-engine-")
    image, registry, bad, failed = PREFIX + ":latest", None, None, 0
    pulled = None
    try:
        changes = "&".join("changes=" + urllib.parse.quote(c) for c in
                           ("ENV OF_THE_IMAGE=yes", "USER 7:8", "WORKDIR /bin"))
        Engine().call("POST", f"/images/create?fromSrc=-&repo={PREFIX}&tag=latest", tiny_image())
        registry, port = start_registry(folder)
        bad = Server(("127.0.0.1", 0), BadRegistry)
        bad.over = threading.Event()
        threading.Thread(target=bad.serve_forever, daemon=True).start()
        pulled = f"127.0.0.1:{port}/sos/test-engine:t"
        Engine().call("POST", f"/images/create?fromSrc=-&repo=127.0.0.1:{port}/sos/test-engine&tag=t&{changes}", tiny_image())
        Engine().call("POST", f"/images/127.0.0.1:{port}/sos/test-engine/push?tag=t", headers={"X-Registry-Auth": "e30="})
        environment = dict(os.environ, CK_TAP_LOG_FILE_NAME="-", SOS_TEST_PREFIX=PREFIX, SOS_TEST_IMAGE=image, SOS_TEST_PULL=pulled,
                           SOS_TEST_ABSENT=f"127.0.0.1:{port}/sos/test-engine:absent",
                           SOS_TEST_BROKEN=f"127.0.0.1:{bad.server_port}/broken/image:t",
                           SOS_TEST_HANGING=f"127.0.0.1:{bad.server_port}/hanging/image:t")
        environment.pop("DOCKER_TLS_VERIFY", None)
        lines = []
        for way in ways:
            if way == "socket":
                environment["SOS_TEST_ADDRESS"] = SOCKET
            elif way == "tcp":
                environment["SOS_TEST_ADDRESS"] = f"tcp://127.0.0.1:{Front().port}"
            else:
                environment["SOS_TEST_ADDRESS"] = f"tcp://127.0.0.1:{Front(certificates(folder)).port}"
                environment.update(DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=folder)
            remove_images([pulled])
            run = subprocess.run([program], env=environment, stdout=subprocess.PIPE, text=True)
            results = [line for line in run.stdout.splitlines() if line.startswith(("ok ", "not ok "))]
            if run.returncode not in (0, 1) or not results:
                results.append(f"not ok 0 - {program} ended with {run.returncode}")
            lines += [(line.split(" - ", 1)[0].rsplit(" ", 1)[0], f"{way}: " + line.split(" - ", 1)[-1]) for line in results]
        failed = sum(verdict != "ok" for verdict, _ in lines)
        for number, (verdict, text) in enumerate(lines, 1):
            print(verdict, number, "-", text)
        print(f"1..{len(lines)}")
    finally:
        clean_up()
        remove_images([image] + ([pulled] if pulled else []))
        if bad:
            bad.over.set()
            bad.shutdown()
        if registry:
            registry.terminate()
            registry.wait()
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:] or ["socket", "tcp", "tls"]))
