# SPDX-License-Identifier: GPL-3.0-or-later
"""The link between gateway and worker under attack by another process of the same machine."""

import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import zmq

from harness.gantry import GANTRY, Worker
from harness.orthanc import Orthanc
from harness.processes import free_port, run, wait_until

SETPRIV = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")

# Binds or connects as another user, says so, and prints everything that arrives.
HOSTILE = """
import sys, zmq
kind, endpoint = sys.argv[1:]
peer = zmq.Context().socket(zmq.ROUTER if kind == "bind" else zmq.DEALER)
getattr(peer, kind)(endpoint)
print("ready", flush=True)
if kind == "connect":
    peer.send_multipart([b"GANTRY1 hello", b"hostile", b"s", b"1", b"state", b"0", b"", b""])
while True:
    print("received", peer.recv_multipart(), flush=True)
"""


def hello(name):
    """What a gateway or a worker of this name says first: session, version, and receipts of a fresh database."""
    return [b"GANTRY1 hello", name, b"s", b"1", b"state-of-" + name, b"0", b"", b""]


def make_keys(folder, name):
    """Path of the secret key, and the public key."""
    run(GANTRY, "site", "keygen", "--name", name, "--out", folder)
    assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
    return folder / f"{name}.key", (folder / f"{name}.pub").read_text().strip()


def secret_of(key_file):
    return next(line.split(": ")[1] for line in key_file.read_text().splitlines() if line.startswith("secret-key"))


class Site:
    """A gateway and a worker that are joined by tcp with keys, through `port` where the worker need not be."""

    def __init__(self, start, folder, package):
        self.keys = folder / "keys"
        self.worker_key, self.worker_public = make_keys(self.keys, "worker")
        self.gateway_key, self.gateway_public = make_keys(self.keys, "hospital")
        self.noise_key, self.noise_public = make_keys(self.keys, "noise")
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.folder = folder
        self.package = package
        self.start = start
        self.gateway = self.make_gateway(self.endpoint)
        self.worker = start.process(Worker(
            "worker", folder / "worker", self.endpoint, [package],
            settings={"key": str(self.worker_key),
                      "gateways": {"hospital": self.gateway_public, "noise": self.noise_public}}))

    def make_gateway(self, endpoint):
        return self.start.process(Orthanc("hospital", self.folder / "orthanc", gantry={
            "Workers": [endpoint], "WorkerKey": self.worker_public, "KeyFile": str(self.gateway_key)}))

    def flag(self, study):
        return wait_until(f"{study.uid} is flagged", lambda: self.gateway.final_flags(study.uid), 240)

    def link(self):
        return self.gateway.get("/gantry/status")["workers"][0]

    def refused_at_worker(self):
        models = self.gateway.get("/gantry/status")["models"]
        return models["connections"]["refused"] if models else 0


@pytest.fixture
def site(start, tmp_path, package):
    return Site(start, tmp_path / "site", package)


def dealer(endpoint, keys=None, server=None):
    peer = zmq.Context.instance().socket(zmq.DEALER)
    peer.linger = 0
    if keys:
        peer.curve_publickey, peer.curve_secretkey, peer.curve_serverkey = keys[0], keys[1], server.encode()
    peer.connect(endpoint)
    return peer


def refusal_lines(gateway):
    """What the gateway's log says about refused workers, once it says anything."""
    return wait_until("the refusal is in the log", lambda: [
        line for line in gateway.process.log_text().splitlines() if "is refused" in line])


def hears_nothing(peer, milliseconds=1_500):
    return peer.poll(milliseconds) == 0


def test_a_process_without_a_known_key_is_heard_by_nobody_and_is_counted(site, phantoms):
    site.worker.start()
    site.gateway.start()
    site.gateway.send(phantoms[0].files)
    assert len(site.flag(phantoms[0])) == 1
    before = site.refused_at_worker()
    for keys in (None, zmq.curve_keypair()):
        peer = dealer(site.endpoint, keys, site.worker_public)
        peer.send_multipart(hello(b"hospital"))
        assert hears_nothing(peer)
        peer.close()
    wait_until("both attempts are counted", lambda: site.refused_at_worker() >= before + 2)


def test_a_known_key_cannot_speak_as_another_gateway(site):
    site.worker.start()
    peer = dealer(site.endpoint, (site.noise_public.encode(), secret_of(site.noise_key).encode()), site.worker_public)
    peer.send_multipart(hello(b"hospital"))
    assert peer.poll(120_000), "the worker says why"
    answer = peer.recv_multipart()
    assert answer[:2] == [b"GANTRY1 error", b"not-your-name"], answer
    peer.close()


def test_a_listener_on_the_wire_reads_nothing(site, phantoms):
    """Everything between gateway and worker goes through a relay that keeps what it sees."""
    relay_port = free_port()
    seen = []
    relay = socket.create_server(("127.0.0.1", relay_port))

    def pump(source, target):
        try:
            while data := source.recv(65_536):
                seen.append(data)
                target.sendall(data)
        except OSError:
            pass

    def serve():
        while True:
            try:
                client, _ = relay.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", int(site.endpoint.rsplit(":", 1)[1])))
            except OSError:
                # The worker is not up yet.
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    gateway = site.make_gateway(f"tcp://127.0.0.1:{relay_port}")
    site.worker.start()
    gateway.start()
    study = phantoms[1]
    gateway.send(study.files)
    wait_until("the study is flagged", lambda: gateway.final_flags(study.uid), 240)
    traffic = b"".join(seen)
    assert len(traffic) > sum(file.stat().st_size for file in study.files), "all instances went through the relay"
    for secret in (b"DICM", b"GANTRY1", study.uid.encode(), b"hospital"):
        assert secret not in traffic
    relay.close()


def test_a_process_that_takes_the_workers_port_gets_nothing_and_the_study_waits(site, phantoms):
    study = phantoms[2]
    impostor = zmq.Context.instance().socket(zmq.ROUTER)
    impostor.linger = 0
    # A server of its own, with a key that is not the worker's.
    impostor.curve_server = True
    impostor.curve_publickey, impostor.curve_secretkey = zmq.curve_keypair()
    impostor.bind(site.endpoint)
    site.gateway.start()
    site.gateway.send(study.files)
    link = wait_until("the gateway refuses it", lambda: site.link()["refused"] and site.link())
    assert "did not prove" in link["refused"] and link["refusals"] >= 1 and not link["connected"]
    assert hears_nothing(impostor)
    impostor.close()
    wait_until("all wait in the outbox", lambda: site.gateway.waiting() == len(study.files))
    assert len(refusal_lines(site.gateway)) == 1

    def started():
        # The impostor's port is free a moment later.
        if not site.worker.process.running:
            site.worker.start()
        return site.gateway.final_flags(study.uid)

    assert len(wait_until("the study is flagged", started, 240)) == 1
    wait_until("nothing is refused any more", lambda: site.link()["refused"] is None)


def garbage(seed):
    """Messages that look like the protocol's and are broken somewhere."""
    noise = random.Random(seed)
    verbs = [b"hello", b"instance", b"ack", b"flag", b"credit", b"review", b"study-complete", b"flag-ack", b"fetched",
             b"model-status", b"fetch", b"review-ack", b"bye", b"error", b"\xff", b""]
    while True:
        frames = [b"GANTRY1 " + noise.choice(verbs)]
        for _ in range(noise.randrange(0, 7)):
            frames.append(noise.choice([
                b"", b"0", b"-1", b"9223372036854775807", b"1" * 40, b"scored", b"accepted", b"1.2.3",
                noise.randbytes(noise.randrange(0, 200)), noise.randbytes(6_000)]))
        frames.append(noise.choice([b"", b"{}", b"null", b"[" * 500, noise.randbytes(noise.randrange(0, 3_000))]))
        if noise.random() < 0.1:
            frames = [noise.randbytes(noise.randrange(0, 64)) for _ in range(noise.randrange(1, 30))]
        yield frames


def test_garbage_from_a_peer_with_a_key_stops_neither_end(site, phantoms):
    study = phantoms[3]
    messages = garbage(seed=20261122)
    # First the gateway: its worker has the right key and has lost its mind.
    mad = zmq.Context.instance().socket(zmq.ROUTER)
    mad.linger = 0
    mad.curve_server = True
    mad.curve_publickey, mad.curve_secretkey = site.worker_public.encode(), secret_of(site.worker_key).encode()
    mad.bind(site.endpoint)
    site.gateway.start()
    assert mad.poll(120_000), "the gateway says hello"
    gateway = mad.recv_multipart()[0]
    mad.send_multipart([gateway, *hello(b"worker")])
    for number in range(3_000):
        mad.send_multipart([gateway, *next(messages)])
        while mad.poll(0):
            gateway = mad.recv_multipart()[0]
    wait_until(
        "the garbage is counted",
        lambda: site.gateway.get("/gantry/status")["archive"]["messages_not_understood"] > 1_000)
    mad.close()
    # Then the worker: a gateway of that name has the right key.
    worker_is_up = lambda: site.worker.process.running or site.worker.start().process.running  # noqa: E731
    peer = dealer(site.endpoint, (site.noise_public.encode(), secret_of(site.noise_key).encode()), site.worker_public)

    def answered():
        worker_is_up()
        peer.send_multipart(hello(b"noise"))
        return peer.poll(200) and peer.recv_multipart()[0] == b"GANTRY1 hello"

    wait_until("the worker answers", answered)
    for number in range(3_000):
        peer.send_multipart(next(messages))
        while peer.poll(0):
            peer.recv_multipart()
    peer.close()
    site.gateway.send(study.files)
    assert len(site.flag(study)) == 1
    assert site.worker.process.running and site.gateway.process.running


@pytest.fixture
def public_folder():
    """A folder that every user can reach, with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="gantry-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def hostile():
    """Starts processes of another user; gives each with what it printed."""
    running = []

    def start(*arguments):
        child = subprocess.Popen(
            [*SETPRIV, sys.executable, "-c", HOSTILE, *map(str, arguments)], stdout=subprocess.PIPE)
        running.append(child)
        assert child.stdout.readline() == b"ready\n"
        os.set_blocking(child.stdout.fileno(), False)
        return child

    yield start
    for child in running:
        child.kill()
        child.wait()


def printed(child):
    """What a hostile process has printed since it was ready."""
    try:
        return os.read(child.stdout.fileno(), 65_536)
    except BlockingIOError:
        return b""


@needs_root
def test_another_user_cannot_reach_the_workers_socket(start, package, public_folder, hostile):
    path = public_folder / "worker.ipc"
    worker = start.process(Worker("worker", public_folder / "w", f"ipc://{path}", [package]))
    worker.start()
    wait_until("the worker listens", path.exists)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    child = hostile("connect", f"ipc://{path}")
    probe = subprocess.run(
        [*SETPRIV, sys.executable, "-c",
         f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"], stderr=subprocess.PIPE, text=True)
    assert "PermissionError" in probe.stderr
    assert printed(child) == b"", "it was answered"


@needs_root
def test_another_user_who_is_at_the_path_first_gets_nothing(start, package, phantoms, public_folder, hostile):
    """As in a folder that everybody may write to: the gateway does not connect, the worker does not start there."""
    public_folder.chmod(0o1777)
    path = public_folder / "worker.ipc"
    child = hostile("bind", f"ipc://{path}")
    gateway = start.process(Orthanc("hospital", public_folder / "orthanc", gantry={"Workers": [f"ipc://{path}"]}))
    gateway.start()
    gateway.send(phantoms[0].files)
    link = wait_until(
        "the gateway refuses it", lambda: gateway.get("/gantry/status")["workers"][0]["refusals"] >= 2
        and gateway.get("/gantry/status")["workers"][0])
    assert "belongs to user 65534" in link["refused"]
    wait_until("all wait in the outbox", lambda: gateway.waiting() == len(phantoms[0].files))
    assert printed(child) == b"", "it was sent something"
    worker = start.process(Worker("worker", public_folder / "w", f"ipc://{path}", [package]))
    worker.start()
    assert worker.process.child.wait(120) != 0
    assert "others can write to the folder" in worker.process.log_text()
    public_folder.chmod(0o755)
    worker.start()
    assert worker.process.child.wait(120) != 0
    assert "belongs to another user" in worker.process.log_text()
    assert path.is_socket(), "it is left alone"


def test_tcp_without_keys_is_refused_at_both_ends_with_one_line(start, tmp_path, package, phantoms):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    worker = start.process(Worker("worker", tmp_path / "w", endpoint, [package]))
    worker.start()
    assert worker.process.child.wait(120) != 0
    assert "the setting key must be this worker's .key file" in worker.process.log_text()
    gateway = start.process(Orthanc("hospital", tmp_path / "orthanc", gantry={"Workers": [endpoint]}))
    gateway.start()
    gateway.send(phantoms[0].files)
    wait_until("all wait in the outbox", lambda: gateway.waiting() == len(phantoms[0].files))
    lines = refusal_lines(gateway)
    assert len(lines) == 1 and "WorkerKey" in lines[0], lines
