#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that do nothing with what they get, so that the gateway's cost is seen and not that of what comes after it.

drain.py gantry ENDPOINT: a worker that acknowledges each instance at once.
drain.py silent ENDPOINT: a worker that takes instances and never acknowledges one.
drain.py pull ENDPOINT: the other end of Integration/Benchmarks/python_push.py.
"""

import sys

import zmq


def worker(context, endpoint, acknowledges):
    socket = context.socket(zmq.ROUTER)
    socket.bind(endpoint)
    serial = 0
    while True:
        frames = socket.recv_multipart(copy=False)
        peer, verb = frames[0].bytes, frames[1].bytes.partition(b" ")[2]
        if verb == b"hello":
            socket.send_multipart(
                [peer, b"GANTRY1 hello", b"drain", b"drain-session", b"1", b"drain-state", str(serial).encode(), b"", b""])
            socket.send_multipart([peer, b"GANTRY1 credit", b"1073741824", b""])
        elif verb == b"instance" and acknowledges:
            serial += 1
            socket.send_multipart(
                [peer, b"GANTRY1 ack", frames[2].bytes, frames[3].bytes, b"scored", b"1.2.3", b"", b"drain-state",
                 str(serial).encode(), b""])


def pull(context, endpoint):
    socket = context.socket(zmq.PULL)
    socket.bind(endpoint)
    while True:
        socket.recv_multipart(copy=False)


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    if kind == "pull":
        pull(zmq.Context(), place)
    worker(zmq.Context(), place, acknowledges=kind == "gantry")
