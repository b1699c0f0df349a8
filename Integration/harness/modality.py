# SPDX-License-Identifier: GPL-3.0-or-later
"""A modality that sends at its own pace: copies of instances under other identities, one C-STORE at a time (PS3.7, PS3.8)."""

import hashlib
import socket
import struct
import time
from pathlib import Path

STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00080018
PATIENT_ID, SOP_CLASS_UID = 0x00100020, 0x00080016
NUMBER_OF_STUDY_RELATED_INSTANCES, NUMBER_OF_SERIES_RELATED_INSTANCES = 0x00201208, 0x00201209
IMAGES_IN_ACQUISITION, ACQUISITION_NUMBER, INSTANCE_NUMBER = 0x00201002, 0x00200012, 0x00200013

_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_PIXEL_DATA = 0x7FE00010
_ENDLESS = 0xFFFFFFFF


class Instance:
    """A DICOM file in an explicit little endian transfer syntax whose top-level elements can be set. Pixels are not copied."""

    def __init__(self, file):
        content = Path(file).read_bytes()
        if content[128:132] != b"DICM":
            raise ValueError(f"{file}: no DICOM file")
        self.transfer_syntax, place = None, 132
        while struct.unpack_from("<H", content, place)[0] == 2:
            tag, start, place = _element(content, place)
            if tag == 0x00020010:
                self.transfer_syntax = content[start:place].rstrip(b"\0 ").decode()
        self.elements, self.rest = {}, b""
        while place < len(content):
            tag, start, end = _element(content, place)
            if tag >= _PIXEL_DATA or end is None:
                # From here on it is copied as it is: pixel data, or a sequence without a length.
                self.rest = content[place:]
                break
            self.elements[tag] = content[place:end]
            place = end

    def text(self, tag):
        element = self.elements.get(tag)
        return element[_header(element):].rstrip(b"\0 ").decode("latin-1") if element else ""

    def with_values(self, **values):
        """A copy with `values`, by the name of a tag of this module or as (tag, VR): text; None takes the element out."""
        return self.with_elements({(globals()[name], _VR[name]): value for name, value in values.items()})

    def with_elements(self, elements):
        copy = object.__new__(Instance)
        copy.transfer_syntax, copy.rest, copy.elements = self.transfer_syntax, self.rest, dict(self.elements)
        for (tag, vr), value in elements.items():
            if value is None:
                copy.elements.pop(tag, None)
                continue
            data = str(value).encode()
            data += (b"\0" if vr == "UI" else b" ") * (len(data) % 2)
            copy.elements[tag] = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(data)) + data
        return copy

    @property
    def data_set(self):
        return b"".join(self.elements[tag] for tag in sorted(self.elements)) + self.rest


_VR = {
    "STUDY_INSTANCE_UID": "UI", "SERIES_INSTANCE_UID": "UI", "SOP_INSTANCE_UID": "UI", "PATIENT_ID": "LO",
    "NUMBER_OF_STUDY_RELATED_INSTANCES": "IS", "NUMBER_OF_SERIES_RELATED_INSTANCES": "IS", "IMAGES_IN_ACQUISITION": "IS",
    "ACQUISITION_NUMBER": "IS", "INSTANCE_NUMBER": "IS",
}


def _header(element):
    return 12 if element[4:6] in _LONG else 8


def _element(content, place):
    """(tag, start of the value, end); the end is None without an explicit length."""
    group, number, vr = struct.unpack_from("<HH2s", content, place)
    tag = group << 16 | number
    if vr in _LONG:
        length, start = struct.unpack_from("<I", content, place + 8)[0], place + 12
    else:
        length, start = struct.unpack_from("<H", content, place + 6)[0], place + 8
    return tag, start, None if length == _ENDLESS else start + length


def uid(*seed):
    """A UID under 2.25 that is always the same for the same seed (PS3.5 B.2)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(repr(seed).encode()).digest()[:15], 'big')}"


def copy_of_study(instances, name, **values):
    """The same images as another study of another patient; series stay apart."""
    return [
        instance.with_values(
            STUDY_INSTANCE_UID=uid(name), PATIENT_ID=f"copy-{uid(name)[-12:]}",
            SERIES_INSTANCE_UID=uid(name, instance.text(SERIES_INSTANCE_UID)),
            SOP_INSTANCE_UID=uid(name, instance.text(SOP_INSTANCE_UID)), **values)
        for instance in instances]


class Association:
    """One association with a gateway; `store` returns when the response is there."""

    def __init__(self, orthanc, instances, calling="MODALITY", called="ORTHANC"):
        """`instances`: some of every SOP class and transfer syntax that will be sent."""
        pairs = sorted({(instance.text(SOP_CLASS_UID), instance.transfer_syntax) for instance in instances})
        self.contexts = {pair: 2 * number + 1 for number, pair in enumerate(pairs)}
        self.message = 0
        self.socket = socket.create_connection(("127.0.0.1", orthanc.dicom_port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        items = _item(0x10, b"1.2.840.10008.3.1.1.1")
        for (sop_class, transfer_syntax), number in self.contexts.items():
            items += _item(0x20, struct.pack("!BBBB", number, 0, 0, 0)
                           + _item(0x30, sop_class.encode()) + _item(0x40, transfer_syntax.encode()))
        items += _item(0x50, _item(0x51, struct.pack("!I", 16384)) + _item(0x52, b"2.25.1"))
        self._write(1, struct.pack("!HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode()) + items)
        kind, answer = self._read()
        if kind != 2:
            raise ConnectionError(f"the association was not accepted (PDU {kind})")
        self.longest = _longest_pdu(answer) or 1 << 17

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._write(5, bytes(4))
            self._read()
        except OSError:
            pass
        self.socket.close()

    def store(self, instance):
        """Sends one instance; gives the time (monotonic) at which its response came. Raises unless that is Success."""
        self.message = self.message % 65535 + 1
        context = self.contexts[instance.text(SOP_CLASS_UID), instance.transfer_syntax]
        command = _command({
            0x0002: instance.text(SOP_CLASS_UID).encode(), 0x0100: 0x0001, 0x0110: self.message, 0x0700: 0,
            0x0800: 0x0001, 0x1000: instance.text(SOP_INSTANCE_UID).encode()})
        self._data(context, 1, command)
        self._data(context, 0, instance.data_set)
        kind, answer = self._read()
        at = time.monotonic()
        if kind != 4:
            raise ConnectionError(f"no response to C-STORE (PDU {kind})")
        status = _status(answer)
        if status != 0:
            raise RuntimeError(f"C-STORE was answered with {status:04x}")
        return at

    def _data(self, context, is_command, content):
        room = self.longest - 6
        pieces = []
        for start in range(0, max(len(content), 1), room):
            piece = content[start:start + room]
            flags = is_command | (2 if start + room >= len(content) else 0)
            pieces.append(struct.pack("!BBIIBB", 4, 0, len(piece) + 6, len(piece) + 2, context, flags))
            pieces.append(piece)
        self.socket.sendall(b"".join(pieces))

    def _write(self, kind, content):
        self.socket.sendall(struct.pack("!BBI", kind, 0, len(content)) + content)

    def _read(self):
        kind, _, length = struct.unpack("!BBI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count):
        content = b""
        while len(content) < count:
            piece = self.socket.recv(count - len(content))
            if not piece:
                raise ConnectionError("the gateway closed the connection")
            content += piece
        return content


def send(orthanc, instances, per_second=None):
    """Sends instances in one association, so many per second or as fast as they are taken; gives the times of the
    responses."""
    times = []
    with Association(orthanc, instances) as association:
        start = time.monotonic()
        for number, instance in enumerate(instances):
            if per_second:
                time.sleep(max(0, start + number / per_second - time.monotonic()))
            times.append(association.store(instance))
    return times


def _item(kind, content):
    return struct.pack("!BBH", kind, 0, len(content)) + content


def _longest_pdu(answer):
    place = 68
    while place + 4 <= len(answer):
        kind, _, length = struct.unpack_from("!BBH", answer, place)
        if kind == 0x50 and answer[place + 4] == 0x51:
            return struct.unpack_from("!I", answer, place + 8)[0]
        place += 4 + length
    return 0


def _command(elements):
    """Command elements of group 0000, implicit little endian: numbers are US, bytes UI."""
    content = b""
    for number, value in sorted(elements.items()):
        data = struct.pack("<H", value) if isinstance(value, int) else value + b"\0" * (len(value) % 2)
        content += struct.pack("<HHI", 0, number, len(data)) + data
    return struct.pack("<HHII", 0, 0, 4, len(content)) + content


def _status(pdu):
    place = 6
    while place + 8 <= len(pdu):
        _, number, length = struct.unpack_from("<HHI", pdu, place)
        if number == 0x0900:
            return struct.unpack_from("<H", pdu, place + 8)[0]
        place += 8 + length
    return 0xFFFF
