# SPDX-License-Identifier: GPL-3.0-or-later
"""Every socket against peers that do what no library would: the process lives on, within its memory, and serves others."""

import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import time
import urllib.request

import pytest
import zmq
from zmq.utils import z85

from harness.gantry import GANTRY, Hub, Worker
from harness.orthanc import Orthanc
from harness.processes import BIN, Process, free_port, run, wait_until
from harness.site import ScriptedSite
from harness.zmtp import COMMAND, GREETING, LONG, MORE, PING, Peer, frame, header, open_socket, send_for

MEGABYTE = 1 << 20
#: Empty messages, then a PING after every few: what is read last before the peer is gone is very likely one.
BURST = 1500, 60


def megabytes(process):
    """Resident memory of a process."""
    status = open(f"/proc/{process.child.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def processor_seconds(process):
    fields = open(f"/proc/{process.child.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(process):
    return len(os.listdir(f"/proc/{process.child.pid}/fd"))


def keys_of(key_file):
    """Public and secret key of a key file, 32 bytes each."""
    secret = next(word for word in reversed(key_file.read_text().replace('"', " ").split()) if len(word) == 40).encode()
    return z85.decode(zmq.curve_public(secret)), z85.decode(secret)


class WorkerEnd:
    """A worker's socket; a hostile gateway may come over ipc, or over tcp with an enrolled key."""

    def __init__(self, start, folder, scheme, **settings):
        self.scheme = scheme
        self.endpoint = f"ipc://{folder}/worker.ipc" if scheme == "ipc" else f"tcp://127.0.0.1:{free_port()}"
        more = {"name": "worker"}
        if scheme == "tcp":
            for name in ("worker", "hospital", "other"):
                run(GANTRY, "site", "keygen", "--name", name, "--out", folder / "keys")
            self.server = z85.decode((folder / "keys" / "worker.pub").read_text().strip().encode())
            self.keys = {name: keys_of(folder / "keys" / f"{name}.key") for name in ("hospital", "other")}
            more = {"key": str(folder / "keys" / "worker.key"), "gateways": {
                name: (folder / "keys" / f"{name}.pub").read_text().strip() for name in ("hospital", "other")}}
        self.worker = start.process(Worker("worker", folder / "worker", self.endpoint, settings={**more, **settings}))
        self.process = self.worker.process

    def start(self):
        self.worker.start()
        wait_until("the worker listens", lambda: "worker listens at" in self.process.log_text())
        return self

    def stranger(self):
        return Peer(self.endpoint, b"NULL" if self.scheme == "ipc" else b"CURVE")

    def known(self, name="hospital"):
        peer = Peer(self.endpoint)
        return peer.greet() if self.scheme == "ipc" else peer.greet_with_curve(self.server, *self.keys[name])

    def is_served(self, name="other"):
        """Whether a gateway that behaves is answered."""
        gateway = zmq.Context.instance().socket(zmq.DEALER)
        gateway.linger = 0
        if self.scheme == "tcp":
            public, secret = (z85.encode(key) for key in self.keys[name])
            gateway.curve_publickey, gateway.curve_secretkey = public, secret
            gateway.curve_serverkey = z85.encode(self.server)
        gateway.connect(self.endpoint)
        try:
            for _ in range(60):
                gateway.send_multipart(hello(name))
                if gateway.poll(1000):
                    return gateway.recv_multipart()[0].startswith(b"GANTRY1 hello")
            return False
        finally:
            gateway.close()

    def hello(self, peer, name="hospital"):
        peer.send(peer.message(*hello(name)))


class HubEnd:
    """A hub's socket for sites."""

    scheme = "tcp"

    def __init__(self, start):
        self.hub = start.hub()
        self.endpoint = self.hub.endpoint
        self.key_files = {name: self.hub.enrol(name) for name in ("hospital", "other")}
        self.keys = {name: keys_of(file) for name, file in self.key_files.items()}
        self.server = z85.decode(self.hub.public_key.encode())
        self.process = self.hub.process

    def start(self):
        self.hub.start()
        return self

    def stranger(self):
        return Peer(self.endpoint, b"CURVE")

    def known(self, name="hospital"):
        return Peer(self.endpoint).greet_with_curve(self.server, *self.keys[name])

    def is_served(self, name="other"):
        site = ScriptedSite(self.hub, z85.encode(self.keys[name][1]))
        try:
            return site.ask("hello", payload=b'{"version":"0.1.0","packages":[]}', seconds=60) is not None
        finally:
            site.close()

    def hello(self, peer, name="hospital"):
        peer.send(peer.message(b"GANTRYFED1 hello", b'{"version":"0.1.0","packages":[]}'))


def hello(name):
    return [b"GANTRY1 hello", name.encode(), b"s-" + name.encode(), b"1", b"state-of-" + name.encode(), b"0", b"", b""]


@pytest.fixture(params=["worker-ipc", "worker-tcp", "hub"])
def end(request, start, tmp_path):
    kind, _, scheme = request.param.partition("-")
    return (HubEnd(start) if kind == "hub" else WorkerEnd(start, tmp_path, scheme)).start()


@pytest.fixture(params=["worker-tcp", "hub"])
def open_end(request, start, tmp_path):
    """An end that strangers reach."""
    return (HubEnd(start) if request.param == "hub" else WorkerEnd(start, tmp_path, "tcp")).start()


def burst(peer, messages, pings):
    sealed = [peer.frame(b"") for _ in range(messages)]
    for _ in range(pings):
        sealed += [peer.frame(b""), peer.frame(PING, COMMAND)]
    return b"".join(sealed)


# L1, H1: the peer is gone while the socket is at its high-water mark

def test_peers_that_flood_and_are_gone_do_not_end_the_process(end):
    """libzmq's assertion (zeromq/libzmq#4364) needs no heartbeats of ours: one PING behind what was read is enough."""
    for attempt in range(100):
        assert end.process.running, f"the process is gone after {attempt} connections:\n{end.process.log_text()[-1500:]}"
        try:
            peer = end.known()
            peer.send(burst(peer, *BURST) if end.scheme == "ipc" else burst(peer, 40, 60))
            peer.reset()
        except (OSError, EOFError):
            continue
    assert end.is_served()
    assert end.process.running
    assert "Assertion failed" not in end.process.log_text()
    assert len(end.process.log_text()) < 300_000, "nobody can fill the log"


def test_peers_with_heartbeats_that_vanish_do_not_end_the_process(end):
    """With heartbeats and times to live, as older releases send them, and half of the connections reset at once."""
    peers = []
    for number in range(40):
        try:
            peer = end.known()
            peer.send(peer.frame(b"\x04PING" + struct.pack(">H", 1) + b"context", COMMAND) + burst(peer, 20, 20))
            peers.append(peer)
        except (OSError, EOFError):
            continue
        if number % 2:
            peers.pop().reset()
    for peer in peers:
        peer.reset()
    assert end.is_served()
    assert end.process.running


def serve_as_worker(listener, conversation, times):
    """Takes connections of the plugin as a worker that says what `conversation` sends."""
    for _ in range(times):
        stream, _ = listener.accept()
        try:
            peer = Peer(stream).greet(kind=b"ROUTER")
            conversation(peer)
        except (OSError, EOFError):
            continue


def test_a_hostile_worker_does_not_end_the_gateway(start, tmp_path, package, phantoms):
    orthanc = Orthanc("hospital", tmp_path / "orthanc")
    path = orthanc.worker_endpoint.removeprefix("ipc://")
    listener = open_socket(orthanc.worker_endpoint, listen=True)
    listener.settimeout(60)
    start.process(orthanc).start()

    def flood_and_go(peer):
        peer.send(burst(peer, 9000, 60))
        peer.reset()

    def claim(peer):
        peer.send(header(3 << 30))
        send_for(peer, bytes(MEGABYTE), 5)
        peer.reset()

    def many_frames(peer):
        send_for(peer, frame(b"", MORE) * 50_000, 2)
        peer.reset()

    def flood_small(peer):
        send_for(peer, frame(b"") * 50_000, 3)
        peer.reset()

    for conversation, times in ((flood_and_go, 8), (claim, 2), (flood_small, 2), (many_frames, 1)):
        before = megabytes(orthanc.process)
        serve_as_worker(listener, conversation, times)
        assert orthanc.process.running, f"{conversation.__name__}:\n{orthanc.process.log_text()[-1500:]}"
        if conversation in (claim, flood_small):
            assert megabytes(orthanc.process) < before + 300, conversation.__name__
    orthanc.send(phantoms[0].files)
    listener.close()
    os.unlink(path)
    # The same gateway takes a worker that behaves.
    start.process(Worker("worker", tmp_path / "worker", orthanc.worker_endpoint, [package])).start()
    wait_until("the study is flagged", lambda: orthanc.final_flags(phantoms[0].uid), 240)
    assert "Assertion failed" not in orthanc.process.log_text()


def test_a_worker_that_stands_still_is_noticed_and_met_again(start, tmp_path):
    """What ZeroMQ's heartbeats did is done by the hand-over's own hellos."""
    hospital = start.hospital().start()

    def connected():
        workers = hospital.orthanc.get("/gantry/status")["workers"]
        return bool(workers and workers[0]["connected"])

    wait_until("the worker is met", connected)
    hospital.worker.process.child.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        wait_until("its silence is noticed", lambda: not connected(), 60)
        assert time.monotonic() - stopped < 30
    finally:
        hospital.worker.process.child.send_signal(signal.SIGCONT)
    wait_until("it is met again", connected)


# L2: what a frame claims, and messages that never end

def claims(end):
    """Frames that claim 3 GiB: before, during and after the handshake."""
    def greeting(peer):
        peer.send(GREETING + peer.mechanism.ljust(20, b"\0") + bytes(32))
        peer.read(64)
        return peer

    yield "command of the handshake", lambda: greeting(end.stranger()), header(3 << 30, COMMAND)
    yield "message instead of a handshake", lambda: greeting(end.stranger()), header(3 << 30)
    # Eight bytes of length instead of a signature, as ZMTP 1.0 begins.
    yield "first release of ZMTP", end.stranger, b"\xff" + struct.pack(">Q", 3 << 30) + b"\x00"
    yield "after the handshake", end.known, header(3 << 30)
    yield "part of a message", end.known, header(3 << 30, MORE)


def test_a_frame_that_claims_gigabytes_costs_nothing(end):
    before = megabytes(end.process)
    for what, connect, claim in claims(end):
        peer = connect()
        peer.send(claim)
        sent = send_for(peer, bytes(MEGABYTE), 5)
        grown = megabytes(end.process) - before
        assert grown < 150, f"{what}: {grown:.0f} MB more after {sent >> 20} MB"
        assert end.process.running, what
        peer.reset()
    assert end.is_served()


def test_a_message_of_parts_without_end_costs_little(request, start, tmp_path):
    """An enrolled peer: libzmq bounds a frame, and neither the frames of a message nor their bytes."""
    ends = [WorkerEnd(start, tmp_path, "tcp", instance_megabytes=16, memory_megabytes=16), HubEnd(start)]
    for end in ends:
        end.start()
        before = megabytes(end.process)
        peer = end.known()
        part = b"".join(peer.frame(bytes(60_000), MORE) for _ in range(8))
        ended = False
        try:
            for _ in range(1500):
                peer.send(part)
                part = b"".join(peer.frame(bytes(60_000), MORE) for _ in range(8))
        except OSError:
            ended = True
        grown = megabytes(end.process) - before
        assert ended, f"{type(end).__name__} took 720 MB of one message"
        assert grown < 350, f"{type(end).__name__}: {grown:.0f} MB"
        assert end.process.running and end.is_served()


def test_messages_that_come_faster_than_they_are_read_cost_little(end):
    peer = end.known()
    before = megabytes(end.process)
    data = b"".join(peer.frame(b"") for _ in range(20_000))
    grown, deadline = 0, time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            peer.send(data)
            grown = max(grown, megabytes(end.process) - before)
            if end.scheme == "tcp":
                data = b"".join(peer.frame(b"") for _ in range(20_000))
    except OSError:
        pass
    assert grown < 600
    assert end.process.running and end.is_served()


# Connections

def still_open(peers):
    return [peer for peer in peers if not peer.is_ended()]


def test_a_key_has_few_connections_and_the_newest_stay(open_end):
    peers = []
    for _ in range(30):
        peer = open_end.known()
        open_end.hello(peer)
        peers.append(peer)
    wait_until("all but a few are ended", lambda: len(still_open(peers)) <= 4, 60)
    assert not peers[-1].is_ended()
    assert open_end.is_served()


def test_connections_that_say_nothing_are_ended(open_end):
    """300 of each: without a word, after the greeting; and some with a known key that say nothing more."""
    before = descriptors(open_end.process)
    silent = [open_end.stranger() for _ in range(300)]
    half = [open_end.stranger() for _ in range(300)]
    for peer in half:
        try:
            peer.send(GREETING + peer.mechanism.ljust(20, b"\0") + bytes(32))
        except OSError:
            pass
    assert open_end.is_served()
    known = [open_end.known() for _ in range(3)]
    wait_until("all are ended", lambda: not still_open(silent + half + known), 60)
    wait_until("nothing is left of them", lambda: descriptors(open_end.process) <= before + 8, 60)
    assert open_end.is_served()


def test_one_process_cannot_fill_a_worker_with_local_connections(start, tmp_path):
    end = WorkerEnd(start, tmp_path, "ipc").start()
    peers = []
    for _ in range(200):
        try:
            peer = end.known()
            end.hello(peer, "hospital")
            peers.append(peer)
        except (OSError, EOFError):
            continue
    wait_until("few are left", lambda: len(still_open(peers)) <= 20, 60)
    for peer in peers:
        peer.reset()
    assert end.is_served()


# Pieces of an instance

def instance(peer, number, pieces):
    texts = ["GANTRY1 instance", number, f"instance-{number}", 1, "CT"]
    return peer.message(*[str(text).encode() for text in texts], *pieces)


def answers(peer, verb, seconds=60):
    """Fields of the messages of this verb, as they come."""
    peer.stream.settimeout(seconds)
    from harness.zmtp import unseal
    fields = []
    while True:
        _, payload = peer.read_frame()
        opened = unseal(payload[16:], b"CurveZMQMESSAGES" + payload[8:16], peer.server, peer.short_secret)
        fields.append(opened[1:])
        if not opened[0] & MORE:
            if fields[0] == b"GANTRY1 " + verb:
                yield [field.decode("utf-8", "replace") for field in fields[1:]]
            fields = []


def test_an_instance_in_pieces_is_taken_over_tcp(start, tmp_path, package):
    end = WorkerEnd(start, tmp_path, "tcp", packages=[str(package)]).start()
    peer = end.known()
    peer.send(peer.message(*hello("hospital")[:-1], b"pieces 1048576\n"))
    wait_until("there is credit", lambda: int(next(answers(peer, b"credit"))[0]) > 0)
    peer.send(instance(peer, 1, [bytes(MEGABYTE)] * 20 + [b"end"]))
    ack = next(answers(peer, b"ack"))
    assert ack[:3] == ["1", "instance-1", "set-aside"], ack


def test_a_gateway_of_the_first_release_is_told_by_name_that_it_is_too_old(start, tmp_path, package):
    """It sends an instance in one frame, however large, and the same again when the connection breaks."""
    end = WorkerEnd(start, tmp_path, "tcp", packages=[str(package)]).start()
    told, sent = None, 0
    for _ in range(10):
        peer = end.known()
        peer.send(peer.message(*hello("hospital")))
        credit = wait_until("its credit is known", lambda: next(answers(peer, b"credit")))
        if int(credit[0]) == 0 and "older release" in end.process.log_text():
            told = credit
            break
        # A small one is taken as ever.
        peer.send(instance(peer, 1, [b"no DICOM"]))
        if int(credit[0]) > 0:
            assert next(answers(peer, b"ack"))[2] == "set-aside"
        sent += 1
        try:
            peer.send(instance(peer, 2, [bytes(5 * MEGABYTE)]))
        except OSError:
            pass
        wait_until("the connection breaks", peer.is_ended)
    assert told, "it would go on for ever"
    assert sent <= 5
    assert end.process.log_text().count("older release") == 1


def large_file(path, study, side):
    """A DICOM file with one uncompressed image."""
    def element(group, number, representation, value):
        value += b" " * (len(value) % 2)
        if representation in ("OW", "OB"):
            return struct.pack("<HH2sHI", group, number, representation.encode(), 0, len(value)) + value
        return struct.pack("<HH2sH", group, number, representation.encode(), len(value)) + value

    def word(group, number, value):
        return element(group, number, "US", struct.pack("<H", value))

    sop = f"{study}.1.1".encode()
    meta = (element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
            + element(2, 3, "UI", sop + b"\0" * (len(sop) % 2)) + element(2, 0x10, "UI", b"1.2.840.10008.1.2.1\0")
            + element(2, 0x12, "UI", b"1.2.3.4\0"))
    body = (element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.2\0") + element(8, 0x18, "UI", sop + b"\0" * (len(sop) % 2))
            + element(8, 0x60, "CS", b"CT") + element(0x10, 0x20, "LO", b"large")
            + element(0x18, 0x15, "CS", b"HEAD")
            + element(0x20, 0xD, "UI", study.encode() + b"\0" * (len(study) % 2))
            + element(0x20, 0xE, "UI", f"{study}.1".encode() + b"\0" * (len(f"{study}.1") % 2))
            + word(0x28, 2, 1) + element(0x28, 4, "CS", b"MONOCHROME2") + word(0x28, 0x10, side) + word(0x28, 0x11, side)
            + element(0x28, 0x30, "DS", b"1\\1") + word(0x28, 0x100, 16) + word(0x28, 0x101, 16) + word(0x28, 0x102, 15)
            + word(0x28, 0x103, 0) + element(0x28, 0x1052, "DS", b"-1024") + element(0x28, 0x1053, "DS", b"1")
            + element(0x7FE0, 0x10, "OW", bytes(2 * side * side)))
    path.write_bytes(bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + body)
    return path


def test_a_large_image_goes_from_a_real_gateway_to_its_worker_over_tcp(start, tmp_path, package):
    end = WorkerEnd(start, tmp_path, "tcp", packages=[str(package)])
    orthanc = start.process(Orthanc("hospital", tmp_path / "orthanc", gantry={
        "Workers": [end.endpoint], "WorkerKey": (tmp_path / "keys" / "worker.pub").read_text().strip(),
        "KeyFile": str(tmp_path / "keys" / "hospital.key")})).start()
    end.start()
    file = large_file(tmp_path / "large.dcm", "1.2.826.0.1.3680043.10.99.1", 1500)
    assert file.stat().st_size > 4 * MEGABYTE
    orthanc.send([file])
    wait_until("the worker has read it", lambda: sum(orthanc.get("/gantry/status")["outcomes"].values()) == 1
               and orthanc.waiting() == 0, 120)
    assert orthanc.get("/gantry/status")["outcomes"].get("scored") == 1


# R1: the hub's page

def get(url, seconds=60):
    return urllib.request.urlopen(url, timeout=seconds).read()


def test_slow_requests_do_not_hold_the_page(start):
    hub = start.hub().start()
    begun = time.monotonic()
    slow = []
    for number in range(500):
        stream = socket.create_connection(("127.0.0.1", hub.http_port))
        stream.settimeout(0.1)
        try:
            # Headers without an end, a body that does not come, a connection without a word.
            stream.sendall([b"GET / HTTP/1.1\r\nHost: h", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\n\r\nx",
                            b""][number % 3])
        except OSError:
            pass
        slow.append(stream)

    def still_there():
        left = []
        for stream in slow:
            try:
                # One byte now and then keeps no connection.
                stream.send(b"x")
                if stream.recv(65536) == b"":
                    continue
            except TimeoutError:
                left.append(stream)
            except OSError:
                continue
        slow[:] = left
        return left

    assert b"Gantry hub" in get(hub.url + "/", 60)
    wait_until("all are closed", lambda: not still_there(), 90, interval=0.5)
    assert time.monotonic() - begun < 120
    assert get(hub.url + "/health")


def test_a_reader_that_does_not_read_is_closed(start):
    hub = start.hub().start()
    stream = socket.create_connection(("127.0.0.1", hub.http_port))
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    stream.setblocking(False)
    deadline = time.monotonic() + 90
    ended = False
    while not ended and time.monotonic() < deadline:
        try:
            stream.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 50)
        except BlockingIOError:
            stream.setblocking(False)
            wait_until("something happens", lambda: True)
        except OSError:
            ended = True
    assert ended
    assert get(hub.url + "/health")


def test_a_large_head_is_refused(start):
    hub = start.hub().start()
    stream = socket.create_connection(("127.0.0.1", hub.http_port))
    stream.settimeout(60)
    try:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X-Long: " + b"x" * MEGABYTE)
        answer = stream.recv(65536)
    except OSError:
        answer = b""
    assert b" 200 " not in answer
    assert get(hub.url + "/health")


def test_a_hub_without_descriptors_stays_calm_and_serves_its_sites(start):
    end = HubEnd(start)
    # As many as a careless service file leaves it.
    end.hub.process.command = ["/usr/bin/prlimit", "--nofile=160", *end.hub.process.command]
    end.start()
    streams = []
    for number in range(900):
        stream = socket.socket()
        stream.setblocking(False)
        stream.connect_ex(("127.0.0.1", end.hub.http_port if number % 2 else int(end.endpoint.rpartition(":")[2])))
        streams.append(stream)
    wait_until("it has taken what it takes", lambda: descriptors(end.process) > 60, 30)
    before, begun = processor_seconds(end.process), time.monotonic()
    assert end.is_served()
    wait_until("ten seconds are over", lambda: time.monotonic() - begun > 10, 60, interval=0.5)
    used = (processor_seconds(end.process) - before) / (time.monotonic() - begun)
    assert used < 0.25, f"{used:.2f} of a processor"
    assert end.is_served()
    for stream in streams:
        stream.close()
    assert get(end.hub.url + "/health")


# S1: a second process beside a running one

def test_a_second_hub_changes_nothing(start):
    hub = start.hub("--quorum", "3").start()
    before = hub.rows("SELECT key, value FROM setting ORDER BY key")
    second = subprocess.run(
        [BIN / "gantry-hub", "run", "--state", hub.state, "--endpoint", f"tcp://127.0.0.1:{free_port()}",
         "--http", f"127.0.0.1:{free_port()}", "--quorum", "9", "--deadline", "1"],
        capture_output=True, text=True, timeout=300)
    assert second.returncode != 0
    assert "hub" in second.stderr
    assert hub.rows("SELECT key, value FROM setting ORDER BY key") == before
    again = subprocess.run(
        [BIN / "gantry-hub", "init", "--state", hub.state, "--endpoint", f"tcp://127.0.0.1:{free_port()}"],
        capture_output=True, text=True, timeout=300)
    assert again.returncode != 0
    assert hub.rows("SELECT key, value FROM setting ORDER BY key") == before
    hub.process.stop()
    hub.start()
    assert hub.status()["endpoint"] == hub.endpoint


def test_wrong_options_of_a_hub_change_nothing(start):
    hub = start.hub()
    before = hub.rows("SELECT key, value FROM setting ORDER BY key")
    wrong = subprocess.run(
        [BIN / "gantry-hub", "run", "--state", hub.state, "--endpoint", f"tcp://127.0.0.1:{free_port()}",
         "--quorum", "0"], capture_output=True, text=True, timeout=300)
    assert wrong.returncode != 0
    assert hub.rows("SELECT key, value FROM setting ORDER BY key") == before


def test_a_second_worker_changes_nothing(start, tmp_path, package):
    end = WorkerEnd(start, tmp_path, "ipc").start()

    def content():
        with sqlite3.connect(f"file:{end.worker.state}/worker.sqlite?mode=ro", uri=True, timeout=10) as database:
            return [database.execute(f"SELECT * FROM {table}").fetchall()
                    for table in ("receipt_book", "package", "model_version", "audit_entry")
                    if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone()]

    before = content()
    second = subprocess.run(
        [BIN / "gantry-worker", "run", "--state", end.worker.state, "--package", package,
         "--endpoint", f"ipc://{tmp_path}/second.ipc"], capture_output=True, text=True, timeout=300)
    assert second.returncode != 0
    assert "another gantry-worker runs" in second.stderr + second.stdout
    assert content() == before
    assert end.is_served()
