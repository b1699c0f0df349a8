# SPDX-License-Identifier: GPL-3.0-or-later
"""ZMTP 3.1 by hand (ZeroMQ RFC 37, CURVE: RFC 26), for peers that do what no ZeroMQ library would."""

import ctypes
import ctypes.util
import os
import socket
import struct
import time

MORE, LONG, COMMAND = 1, 2, 4
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01"
#: With a time to live of zero, as libzmq's own heartbeats have it.
PING = b"\x04PING\x00\x00"


def header(size, flags=0):
    """What comes before a frame of so many bytes."""
    return struct.pack(">BB", flags, size) if size < 256 else struct.pack(">BQ", flags | LONG, size)


def frame(payload, flags=0):
    return header(len(payload), flags) + payload


def message(*frames):
    return b"".join(frame(part, MORE if part is not frames[-1] else 0) for part in frames)


def properties(**values):
    out = b""
    for name, value in values.items():
        name = name.replace("_", "-").encode()
        out += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return out


def open_socket(endpoint, listen=False):
    """A stream socket for `ipc://` or `tcp://`."""
    scheme, _, address = endpoint.partition("://")
    if scheme == "ipc":
        stream = socket.socket(socket.AF_UNIX)
    else:
        host, _, port = address.rpartition(":")
        stream, address = socket.socket(), (host, int(port))
    if listen:
        stream.bind(address)
        stream.listen(64)
    else:
        stream.connect(address)
    return stream


class Peer:
    """One connection. What is not there within `seconds` raises `TimeoutError`; the other side's end `EOFError`."""

    def __init__(self, endpoint_or_stream, mechanism=b"NULL", seconds=60):
        is_stream = isinstance(endpoint_or_stream, socket.socket)
        self.stream = endpoint_or_stream if is_stream else open_socket(endpoint_or_stream)
        self.stream.settimeout(seconds)
        self.mechanism = mechanism
        self.buffer = b""
        self.box = None

    def greet(self, kind=b"DEALER", identity=b""):
        """The whole handshake without keys."""
        self.stream.sendall(GREETING + self.mechanism.ljust(20, b"\0") + bytes(32))
        self.read(64)
        self.stream.sendall(frame(b"\x05READY" + properties(Socket_Type=kind, Identity=identity), COMMAND))
        self.read_frame()
        return self

    def greet_with_curve(self, server_key, public, secret, kind=b"DEALER"):
        """The whole handshake as the owner of a key pair; keys are 32 bytes each."""
        self.mechanism = b"CURVE"
        self.stream.sendall(GREETING + self.mechanism.ljust(20, b"\0") + bytes(32))
        self.read(64)
        short, short_secret = new_keys()
        hello = seal(bytes(64), b"CurveZMQHELLO---" + struct.pack(">Q", 1), server_key, short_secret)
        self.stream.sendall(frame(b"\x05HELLO\x01\x00" + bytes(72) + short + struct.pack(">Q", 1) + hello, COMMAND))
        welcome = self.read_frame()[1]
        opened = unseal(welcome[24:], b"WELCOME-" + welcome[8:24], server_key, short_secret)
        self.server, cookie = opened[:32], opened[32:]
        nonce = os.urandom(16)
        vouch = seal(short + server_key, b"VOUCH---" + nonce, self.server, secret)
        words = public + nonce + vouch + properties(Socket_Type=kind, Identity=b"")
        box = seal(words, b"CurveZMQINITIATE" + struct.pack(">Q", 2), self.server, short_secret)
        self.stream.sendall(frame(b"\x08INITIATE" + cookie + struct.pack(">Q", 2) + box, COMMAND))
        answer = self.read_frame()[1]
        if not answer.startswith(b"\x05READY"):
            raise EOFError(f"the other side answered {answer[:32]!r}")
        self.short_secret, self.nonce = short_secret, 3
        self.box = True
        return self

    def sealed(self, payload, flags=0):
        """A frame inside the encrypted connection."""
        self.nonce += 1
        nonce = struct.pack(">Q", self.nonce)
        # Inside: bit 0 more, bit 1 command.
        words = bytes([(flags & MORE) | (2 if flags & COMMAND else 0)]) + payload
        return frame(b"\x07MESSAGE" + nonce + seal(words, b"CurveZMQMESSAGEC" + nonce, self.server, self.short_secret))

    def frame(self, payload, flags=0):
        return self.sealed(payload, flags) if self.box else frame(payload, flags)

    def message(self, *frames):
        return b"".join(self.frame(part, MORE if index < len(frames) - 1 else 0) for index, part in enumerate(frames))

    def send(self, data):
        self.stream.sendall(data)

    def read(self, count):
        while len(self.buffer) < count:
            more = self.stream.recv(65536)
            if not more:
                raise EOFError("the other side ended the connection")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read_frame(self):
        """Flags and payload, as they are on the wire."""
        flags = self.read(1)[0]
        size = struct.unpack(">Q", self.read(8))[0] if flags & LONG else self.read(1)[0]
        return flags, self.read(size)

    def is_ended(self):
        """Whether the other side has ended the connection; reads what there is."""
        self.stream.setblocking(False)
        try:
            while True:
                if not self.stream.recv(65536):
                    return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def reset(self):
        """Ends the connection at once: over tcp with a reset, so that the other side need not read what came before."""
        if self.stream.family != socket.AF_UNIX:
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()


def send_for(peer, data, seconds):
    """Sends the same bytes again and again; gives how many went out before the time was over or the other side hung up."""
    sent, deadline = 0, time.monotonic() + seconds
    peer.stream.settimeout(0.2)
    try:
        while time.monotonic() < deadline:
            try:
                sent += peer.stream.send(data[sent % len(data):])
            except TimeoutError:
                continue
    except OSError:
        pass
    return sent


# NaCl's crypto_box, from the library that libzmq uses.

def sodium():
    library = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
    library.sodium_init()
    return library


SODIUM = sodium()


def new_keys():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    SODIUM.crypto_box_keypair(public, secret)
    return public.raw, secret.raw


def seal(words, nonce, public, secret):
    out = ctypes.create_string_buffer(len(words) + 16)
    SODIUM.crypto_box_easy(out, words, ctypes.c_ulonglong(len(words)), nonce, public, secret)
    return out.raw


def unseal(box, nonce, public, secret):
    out = ctypes.create_string_buffer(len(box) - 16)
    if SODIUM.crypto_box_open_easy(out, box, ctypes.c_ulonglong(len(box)), nonce, public, secret) != 0:
        raise ValueError("a box that is not for us")
    return out.raw
