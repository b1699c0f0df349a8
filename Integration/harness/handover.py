# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted gateway: speaks the hand-over protocol to a worker over ZeroMQ, within the worker's credit."""

import json
import time

import zmq


class ScriptedGateway:
    """Belongs to one thread."""

    def __init__(self, endpoint, name="scripted"):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.name = name
        self.credit = 0
        self.open = {}
        self.acks = {}
        self.flags = {}
        self.status = {}
        self.sequence = 0
        self.receipt = 1
        self._hello()

    def _say(self, verb, *fields, payload=b""):
        frames = [f"GANTRY1 {verb}".encode(), *(str(field).encode() for field in fields)]
        self.socket.send_multipart([*frames, payload], copy=len(payload) < 1 << 20)

    def _hello(self):
        self.greeted_at = time.monotonic()
        # Name, session, program version; then the receipts that this side has given: database, number, gaps.
        self._say("hello", self.name, "session-1", "corpus", "scripted-state", self.receipt, "")

    def instance(self, data, seconds=120):
        """Sends an instance when the credit allows it (a larger one alone); gives its sequence number."""
        self.wait("credit", lambda: self.credit > 0 and (
            not self.open or sum(self.open.values()) + len(data) <= self.credit), seconds)
        self.sequence += 1
        self.open[self.sequence] = len(data)
        self._say("instance", self.sequence, f"instance-{self.sequence}", int(time.time() * 1000), "CORPUS", payload=data)
        self.take()
        return self.sequence

    def wait(self, what, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s; {len(self.open)} instances open, first "
                                   f"{sorted(self.open)[:5]}")
            self.take(50)

    def wait_for_acks(self, seconds=300):
        self.wait("acknowledgements", lambda: not self.open, seconds)

    def take(self, milliseconds=0):
        """Reads what there is, waiting at most so long for the first message."""
        # Once a second, as a gateway does: a worker gives the credit of a silent one to others.
        if time.monotonic() - self.greeted_at >= 1:
            self._hello()
        if not self.socket.poll(milliseconds):
            return
        while self.socket.poll(0):
            *frames, payload = self.socket.recv_multipart()
            verb, fields = frames[0].decode().split(" ", 1)[1], [frame.decode() for frame in frames[1:]]
            if verb == "credit":
                self.credit = int(fields[0])
            elif verb == "ack":
                sequence, (outcome, study, reason) = int(fields[0]), fields[2:5]
                self.open.pop(sequence, None)
                self.acks[sequence] = (outcome, study, reason)
            elif verb == "flag":
                flag = json.loads(payload)
                self.flags.setdefault(flag["study"], []).append(flag)
                self.receipt += 1
                self._say("flag-ack", fields[0], fields[1], fields[1], "", "scripted-state", self.receipt)
            elif verb == "model-status":
                self.status = json.loads(payload)

    def final_flag(self, study):
        return next((flag for flag in reversed(self.flags.get(study, [])) if flag["state"] == "final"), None)

    def stop(self):
        self.socket.close()
        self.context.term()
