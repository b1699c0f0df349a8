# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted site: speaks the federation protocol to a hub, honestly or not."""

import hashlib
import json
import struct

import zmq

PROTOCOL = "GANTRYFED1"


class ScriptedSite:
    def __init__(self, hub, secret_key=None):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        if secret_key is None:
            public, secret = zmq.curve_keypair()
        else:
            secret = secret_key
            public = zmq.curve_public(secret)
        self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
        self.socket.curve_serverkey = hub.public_key.encode()
        self.socket.connect(hub.endpoint)

    def close(self):
        self.socket.close()
        self.context.term()

    def ask(self, verb, *fields, payload=b"", seconds=10):
        """Sends one message and gives (verb, fields, payload) of the answer; None when none comes."""
        frames = [f"{PROTOCOL} {verb}".encode(), *[str(field).encode() for field in fields], payload]
        # Without a connection there is nowhere to send to: a stranger's message does not even leave.
        self.socket.sndtimeo = seconds * 1000
        try:
            self.socket.send_multipart(frames)
        except zmq.Again:
            return None
        if not self.socket.poll(seconds * 1000):
            return None
        head, *answer, content = self.socket.recv_multipart()
        return head.decode().removeprefix(f"{PROTOCOL} "), [field.decode() for field in answer], content

    def hello(self, package=None, live=None, labels=100, new=None, ever=None, capabilities=("any-reason",)):
        """Reports `labels` for a package, `new` of them new (all), `ever` in its life; gives the hub's state."""
        packages = [] if package is None else [{
            "package": package, "live": live, "trainingLabels": labels, "newLabels": labels if new is None else new,
            "heldOutLabels": 10}]
        if packages and ever is not None:
            packages[0]["labelledStudies"] = ever
        state = {"version": "0.1.0", "packages": packages}
        if capabilities is not None:
            state["capabilities"] = list(capabilities)
        answer = self.ask("hello", payload=json.dumps(state).encode())
        return json.loads(answer[2]) if answer and answer[0] == "welcome" else None

    def report(self, version, decision, auc=0.9, live_auc=0.9):
        """Tells what became of a version; gives the hub's answer."""
        return self.ask("report", payload=json.dumps({
            "version": version, "decision": decision, "heldOutLabels": 20, "candidateAUC": auc,
            "liveAUC": live_auc}).encode())

    def download(self, file_hash, size):
        content = b""
        while len(content) < size:
            verb, _, piece = self.ask("fetch", file_hash, len(content), min(1 << 20, size - len(content)))
            assert verb == "piece"
            content += piece
        assert hashlib.sha256(content).hexdigest() == file_hash
        return content

    def offer(self, round_number, base, content, examples=10, codec="f32", seconds=10):
        """Offers a delta and sends it if the hub wants it; gives the hub's last word."""
        digest = hashlib.sha256(content).hexdigest()
        manifest = {
            "round": round_number, "base": base, "examples": examples, "hash": digest, "bytes": len(content),
            "codec": codec, "metrics": {"lossFirstEpoch": 0.7, "lossLastEpoch": 0.6, "seconds": 1}}
        answer = self.ask("offer", payload=json.dumps(manifest).encode(), seconds=seconds)
        while answer and answer[0] == "resume":
            offset = int(answer[1][1])
            piece = content[offset:offset + (1 << 18)]
            answer = self.ask("chunk", round_number, digest, offset, payload=piece)
        return answer


def read_safetensors(content):
    """Tensors as {name: (shape, list of floats)}."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            data = content[8 + length + begin:8 + length + end]
            tensors[name] = (entry["shape"], list(struct.unpack(f"<{len(data) // 4}f", data)))
    return tensors


def write_safetensors(tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        shape, values = tensors[name]
        piece = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data
