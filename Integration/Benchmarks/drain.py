#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that only receive, so that a benchmark sees the gateway's cost and not that of what comes after it.

drain.py gantry ENDPOINT: a worker that acknowledges each instance at once.
drain.py pull ENDPOINT: the other end of python_push.py.
"""

import sys

import zmq


def gantry(context, endpoint):
    socket = context.socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        frames = socket.recv_multipart(copy=False)
        peer, verb = frames[0].bytes, frames[1].bytes.partition(b" ")[2]
        if verb == b"hello":
            socket.send_multipart([peer, b"GANTRY1 hello", b"drain", b"drain-1", b"1", b""])
            socket.send_multipart([peer, b"GANTRY1 credit", b"1073741824", b""])
        elif verb == b"instance":
            socket.send_multipart([peer, b"GANTRY1 ack", frames[2].bytes, b"scored", b"1.2.3", b"", b""])


def pull(context, endpoint):
    socket = context.socket(zmq.PULL)
    socket.bind(endpoint)
    while True:
        socket.recv_multipart(copy=False)


if __name__ == "__main__":
    {"gantry": gantry, "pull": pull}[sys.argv[1]](zmq.Context(), sys.argv[2])
