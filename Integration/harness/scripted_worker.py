# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that says what it is told: flags and reviews without a model."""

import hashlib
import json
import queue
import threading
import time

import zmq


class ScriptedWorker:
    """Binds the gateway's worker endpoint, acknowledges every instance and review, and sends the flags it is given.

    Its socket belongs to one thread; `flag` may be called from any."""

    def __init__(self, endpoint, name="scripted"):
        self.endpoint, self.name = endpoint, name
        self.outgoing = queue.Queue()
        #: Reviews as the gateway sent them, each once.
        self.reviews = []
        self.acknowledged = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(30)

    def flag(self, document):
        """Sends a flag document (Sources/Triage/Flag.swift); a revision must be higher than the one before."""
        document = {"flag": flag_id(document["study"], document["model"]["version"]), **document}
        self.outgoing.put(document)
        return document["flag"]

    def result(self, sop_instance_uid, kind, flag, study, file):
        """Sends a DICOM file about a flag for the gateway's archive."""
        self.outgoing.put({"result": (sop_instance_uid, kind, flag, study), "file": file})

    def say_raw(self, verb, *fields, payload=b""):
        """Sends one message as it is, once."""
        self.outgoing.put({"raw": (verb, *fields), "payload": payload})

    def has(self, flag, revision):
        """Whether the gateway has committed this revision."""
        return self.acknowledged.get(flag, -1) >= revision

    def _run(self):
        context = zmq.Context()
        socket = context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.bind(self.endpoint)
        self.serial, self.peer, self.due = 0, None, {}
        sent_at = 0
        while not self.stopping.is_set():
            while not self.outgoing.empty():
                document = self.outgoing.get()
                if "raw" in document:
                    self._say(socket, *document["raw"], payload=document["payload"])
                    continue
                self.due[document["flag"] if "flag" in document else document["result"][0]] = document
                sent_at = 0
            if self.peer and time.monotonic() - sent_at > 1:
                sent_at = time.monotonic()
                for document in self.due.values():
                    if "result" in document:
                        self._say(socket, "result", *document["result"], payload=document["file"])
                        continue
                    self._say(socket, "flag", document["flag"], document["revision"], document["study"],
                              payload=json.dumps(document).encode())
            if socket.poll(20):
                self._hear(socket, socket.recv_multipart())
        socket.close()
        context.term()

    def _say(self, socket, verb, *fields, payload=b""):
        socket.send_multipart([self.peer, f"GANTRY1 {verb}".encode(), *[str(field).encode() for field in fields], payload])

    def _receipt(self):
        self.serial += 1
        return "scripted-state", self.serial

    def _hear(self, socket, frames):
        verb, fields = frames[1].partition(b" ")[2].decode(), [frame.decode("utf-8", "replace") for frame in frames[2:-1]]
        if verb == "hello":
            self.peer = frames[0]
            self._say(socket, "hello", self.name, "scripted-session", "1", "scripted-state", self.serial, "")
            self._say(socket, "credit", 1 << 30)
        elif verb == "instance":
            self._say(socket, "ack", fields[0], fields[1], "scored", study_of(frames[-1]), "", *self._receipt())
        elif verb == "flag-ack":
            self.acknowledged[fields[0]] = int(fields[1])
            if self.due.get(fields[0], {}).get("revision") == int(fields[1]):
                del self.due[fields[0]]
        elif verb == "result-ack":
            self.acknowledged[fields[0]] = 1
            self.due.pop(fields[0], None)
        elif verb == "review":
            review = json.loads(frames[-1])
            if review not in self.reviews:
                self.reviews.append(review)
            self._say(socket, "review-ack", fields[0], "accepted", "", *self._receipt())


def study_of(file):
    """The StudyInstanceUID of a DICOM file in Explicit VR Little Endian."""
    place = file.index(b"\x20\x00\x0d\x00UI") + 6
    size = int.from_bytes(file[place:place + 2], "little")
    return file[place + 2:place + 2 + size].decode().rstrip("\0")


def flag_id(study, version):
    return hashlib.sha256(f"{study}\n{version}".encode()).hexdigest()
