# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted hub: offers a site what a test tells it to, honest or not, over real CURVE."""

import hashlib
import json
import struct
import threading
from pathlib import Path

import zmq

from .site import PROTOCOL


class ScriptedHub:
    """Answers hellos with `models`, and fetches from `files` (hash: bytes). A hash in `zeros` is an endless file of them.

    `enrol` makes no difference to it: it takes every key."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.models = []
        self.files = {}
        self.zeros = set()
        self.lock = threading.Lock()
        self.hellos = []
        self.reports = []
        self.offers = []
        self.fetched_bytes = 0
        self.fetched = set()
        # Called with the hash and offset of each piece that is asked for.
        self.on_fetch = lambda digest, offset: None
        public, secret = zmq.curve_keypair()
        self.public_key = public.decode()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.curve_server = True
        self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join()
        self.socket.close()
        self.context.term()

    def enrol(self, name):
        """Makes a site's keys; gives the path of the secret one."""
        from .gantry import GANTRY
        from .processes import run
        run(GANTRY, "site", "keygen", "--name", name, "--out", self.folder / "keys")
        return self.folder / "keys" / f"{name}.key"

    # What it offers

    def offer(self, package, parameters=None, rounds=0, **more):
        """Offers a package directory, with its own parameters or with these bytes; gives what a site is told."""
        package = Path(package)
        files = []
        for path in sorted(file for file in package.rglob("*") if file.is_file()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            self.files[digest] = content
            files.append({"path": str(path.relative_to(package)), "hash": digest, "bytes": len(content)})
        if parameters is None:
            parameters = (package / "models/parameters.safetensors").read_bytes()
        digest = hashlib.sha256(parameters).hexdigest()
        self.files[digest] = parameters
        name = json.loads((package / "configs/gantry.json").read_text())["name"]
        return self.offer_files(name, files, digest, len(parameters), rounds, **more)

    def offer_files(self, name, files, parameters, parameters_bytes, rounds=0, **more):
        model = {
            "name": name, "version": {"package": package_hash(files), "parameters": parameters}, "files": files,
            "parametersBytes": parameters_bytes, "roundsClosed": rounds, **more}
        with self.lock:
            self.models = [other for other in self.models if other["version"]["package"] != package_hash(files)] + [model]
        return model

    # The thread

    def _serve(self):
        while not self.stopping.is_set():
            if self.socket.poll(50):
                identity, head, *fields, payload = self.socket.recv_multipart()
                answer = self._answer(head.decode().removeprefix(f"{PROTOCOL} "), [f.decode() for f in fields], payload)
                self.socket.send_multipart([identity, *answer])

    def _answer(self, verb, fields, payload):
        def message(name, *values, content=b""):
            return [f"{PROTOCOL} {name}".encode(), *[str(value).encode() for value in values], content]

        if verb == "hello":
            with self.lock:
                self.hellos.append(json.loads(payload))
                return message("welcome", content=json.dumps({"site": "site", "models": self.models}).encode())
        if verb == "fetch":
            digest, offset, length = fields[0], int(fields[1]), int(fields[2])
            self.fetched.add(digest)
            self.on_fetch(digest, offset)
            if digest in self.zeros:
                self.fetched_bytes += length
                return message("piece", digest, offset, content=bytes(length))
            if digest not in self.files:
                return message("error", "unknown-file", "none")
            piece = self.files[digest][offset:offset + length]
            self.fetched_bytes += len(piece)
            return message("piece", digest, offset, content=piece)
        if verb == "offer":
            self.offers.append(json.loads(payload))
            return message("accepted", self.offers[-1]["round"])
        if verb == "report":
            self.reports.append(json.loads(payload))
            return message("noted", self.reports[-1]["version"])
        return message("error", "unsupported", verb)


def package_hash(files):
    """The content hash of a package with these files."""
    lines = [f"{file['path']}\0{file['hash']}\n".encode() for file in sorted(files, key=lambda file: file["path"].encode())]
    return hashlib.sha256(b"".join(lines)).hexdigest()


def version_id(version):
    text = f"gantry-model-version\n{version['package']}\n{version['parameters']}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def with_values(parameters, name, values):
    """Parameters (the bytes of a safetensors file) with other values in one tensor."""
    (length,) = struct.unpack_from("<Q", parameters)
    begin, end = json.loads(parameters[8:8 + length])[name]["data_offsets"]
    start = 8 + length + begin
    count = (end - begin) // 4
    data = struct.pack(f"<{count}f", *[values(index) for index in range(count)])
    return parameters[:start] + data + parameters[start + len(data):]


def tensor_names(parameters):
    (length,) = struct.unpack_from("<Q", parameters)
    return [name for name in json.loads(parameters[8:8 + length]) if name != "__metadata__"]
