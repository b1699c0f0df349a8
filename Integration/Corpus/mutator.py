# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes broken instances from healthy ones. The same seed and inputs give the same instances."""

import random
import re
import struct

UNDEFINED = 0xFFFFFFFF
LONG_VRS = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}

CHARACTER_SET, SOP_INSTANCE, PATIENT_NAME = 0x00080005, 0x00080018, 0x00100010
STUDY, SERIES = 0x0020000D, 0x0020000E
SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS = 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011
SPACING, ALLOCATED, STORED, HIGH_BIT, SIGNED = 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103
PADDING, CENTER, WIDTH, INTERCEPT, SLOPE = 0x00280120, 0x00281050, 0x00281051, 0x00281052, 0x00281053
ORIENTATION, PIXELS = 0x00200037, 0x7FE00010


def element(tag, vr, value, length=None):
    """An element in explicit little endian, with a length of its own or one that lies."""
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    count = len(value) if length is None else length
    return head + (b"\0\0" + struct.pack("<I", count) if vr in LONG_VRS else struct.pack("<H", count & 0xFFFF)) + value


def item(value, length=None):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


END_ITEM, END_SEQUENCE = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


class Instance:
    """A healthy instance in explicit little endian (native or encapsulated), cut into its top-level elements."""

    def __init__(self, data):
        self.parts = []
        self.preamble = data[:132]
        at = 132
        while at < len(data):
            group, number = struct.unpack_from("<HH", data, at)
            vr = data[at + 4:at + 6]
            if vr in LONG_VRS:
                start, length = at + 12, struct.unpack_from("<I", data, at + 8)[0]
            else:
                start, length = at + 8, struct.unpack_from("<H", data, at + 6)[0]
            end = len(data) if length == UNDEFINED else start + length
            self.parts.append((group << 16 | number, vr, data[start:end], length == UNDEFINED))
            at = end

    def bytes(self, change=None, before=None):
        """The file, with `change` {tag: element bytes, b"" to remove} and `before` {tag: bytes put in front}."""
        change, before = change or {}, before or {}
        out = [self.preamble]
        todo = dict(change)
        for tag, vr, value, is_open in self.parts:
            for other in sorted(t for t in todo if t < tag):
                out.append(todo.pop(other))
            out.append(before.get(tag, b""))
            if tag in todo:
                out.append(todo.pop(tag))
            else:
                out.append(element(tag, vr, value, UNDEFINED if is_open else None))
        return b"".join(out + [todo[tag] for tag in sorted(todo)])

    def value(self, tag):
        return next((value for t, _, value, _ in self.parts if t == tag), b"")

    def with_own_uid(self, number):
        """The same instance under another SOPInstanceUID of the same length."""
        old = self.value(SOP_INSTANCE).rstrip(b"\0")
        new = old[:-7] + b"%07d" % number if len(old) > 20 else old
        other = Instance.__new__(Instance)
        other.preamble = self.preamble
        other.parts = [
            (tag, vr, value.replace(old, new) if vr == b"UI" else value, is_open)
            for tag, vr, value, is_open in self.parts]
        return other

    def fragments(self):
        pixels = self.value(PIXELS)
        found, at = [], 0
        while at + 8 <= len(pixels):
            tag, length = struct.unpack_from("<II", pixels, at)
            if tag != 0xE000FFFE:
                break
            found.append(pixels[at + 8:at + 8 + length])
            at += 8 + length
        return found

    def encapsulated(self, fragments, end=END_SEQUENCE):
        return {PIXELS: element(PIXELS, b"OB", b"".join(map(item, fragments)) + end, UNDEFINED)}


def number(tag, value):
    return {tag: element(tag, b"US", struct.pack("<H", value))}


def text(tag, vr, value):
    return {tag: element(tag, vr, value)}


def meta_syntax(uid):
    return text(0x00020010, b"UI", uid)


def structural(base):
    """(name, change, before) of what can be wrong with a data set, whatever its pixels."""
    for vr in (b"DS", b"SQ", b"UN", b"OB", b"ZZ", b"\0\0", b"UT"):
        yield f"rows-as-{vr.decode('latin1').strip(chr(0)) or 'nul'}", {ROWS: element(ROWS, vr, struct.pack("<H", 512))}, {}
        yield f"name-as-{vr.decode('latin1').strip(chr(0)) or 'nul'}", {
            PATIENT_NAME: element(PATIENT_NAME, vr, base.value(PATIENT_NAME))}, {}
    for length in (1, 0x7FFE, 0xFFFE, 0xFFFF):
        yield f"name-says-{length}", {PATIENT_NAME: element(PATIENT_NAME, b"PN", b"A^B", length)}, {}
    for length in (3, 0x7FFFFFFF, 0xFFFFFFFE):
        yield f"pixels-say-{length}", {PIXELS: element(PIXELS, b"OW", base.value(PIXELS)[:5000], length)}, {}
        yield f"unknown-says-{length}", {}, {PIXELS: element(0x00090010, b"UN", b"abcd", length)}
    opened = element(0x00081140, b"SQ", b"", UNDEFINED)
    yield "sequence-without-end", {}, {STUDY: opened}
    yield "sequence-of-open-items", {}, {STUDY: opened + item(b"", UNDEFINED) * 500}
    yield "item-without-end", {}, {STUDY: opened + item(element(0x00080018, b"UI", b"1.2"), UNDEFINED)}
    yield "item-says-too-much", {}, {STUDY: opened + item(b"1234", 0x7FFFFFFF)}
    yield "delimiters-only", {}, {STUDY: (END_ITEM + END_SEQUENCE) * 50}
    for depth in (60, 70, 2000, 20_000):
        nest = opened + item(b"", UNDEFINED)
        yield f"nested-{depth}", {}, {STUDY: nest * depth + (END_ITEM + END_SEQUENCE) * depth}
    flat = b"".join(element(0x00091000 + i % 0xF000, b"SH", b"x ") for i in range(120_000))
    yield "many-elements", {}, {STUDY: flat}
    yield "zero-padding", {}, {PIXELS: b"\0" * 4096}
    for tag, name in ((STUDY, "study"), (SOP_INSTANCE, "instance"), (SERIES, "series")):
        yield f"no-{name}-uid", {tag: b"", 0x00020003: b""} if tag == SOP_INSTANCE else {tag: b""}, {}
        for value in (b"", b"not a uid", b"1." * 40, b"1.2.3\\4.5.6", b"\xff\xfe\0\1", b"../../etc/passwd"):
            yield f"{name}-uid-{value[:8]!r}", text(tag, b"UI", value), {}
    garbage = bytes(range(0x80, 0x100)) + b"\x1b$B\x1b(J\x1b$)C^=\\\x1b"
    for charset in (b"ISO_IR 192", b"ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"GB18030", b"NO SUCH SET", b"\x1b" * 16,
                    b"ISO_IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159", b"\\" * 64):
        yield f"characters-{charset[:14]!r}", {
            **text(CHARACTER_SET, b"CS", charset), **text(PATIENT_NAME, b"PN", garbage)}, {}
    yield "long-name", {PATIENT_NAME: element(PATIENT_NAME, b"PN", b"A" * 65_000)}, {}


def pictorial(base):
    """(name, change) of what can be wrong with the description of the pixels."""
    for rows, columns in ((0, 512), (512, 0), (0, 0), (65535, 65535), (65535, 1), (1, 1), (511, 513), (32768, 8)):
        yield f"{rows}x{columns}", {**number(ROWS, rows), **number(COLUMNS, columns)}
    for allocated, stored, high in (
            (8, 16, 15), (12, 12, 11), (24, 24, 23), (32, 12, 11), (64, 64, 63), (16, 17, 16), (16, 0, 0), (0, 0, 0),
            (1, 1, 0), (16, 12, 3), (16, 12, 15), (16, 16, 65535), (65535, 65535, 65534), (16, 1, 0)):
        yield f"bits-{allocated}-{stored}-{high}", {
            **number(ALLOCATED, allocated), **number(STORED, stored), **number(HIGH_BIT, high)}
    for samples in (0, 2, 3, 4, 65535):
        yield f"samples-{samples}", number(SAMPLES, samples)
    for name in (b"", b"RGB", b"PALETTE COLOR", b"YBR_FULL_422", b"YBR_PARTIAL_420", b"CMYK", b"\xff" * 16):
        yield f"photometric-{name[:8]!r}", text(PHOTOMETRIC, b"CS", name)
        yield f"photometric-3-{name[:8]!r}", {**text(PHOTOMETRIC, b"CS", name), **number(SAMPLES, 3)}
    for frames in (b"-1", b"0", b"3", b"131073", b"2147483647", b"99999999999999999999", b"abc", b"1\\2"):
        yield f"frames-{frames.decode()}", text(FRAMES, b"IS", frames)
    for value in (b"0", b"nan", b"inf", b"1e300", b"-1e300", b"abc", b"", b"1e-300", b"," * 16):
        yield f"slope-{value.decode()}", text(SLOPE, b"DS", value)
        yield f"intercept-{value.decode()}", text(INTERCEPT, b"DS", value)
        yield f"window-{value.decode()}", {**text(CENTER, b"DS", value), **text(WIDTH, b"DS", value)}
        yield f"spacing-{value.decode()}", text(SPACING, b"DS", value + b"\\" + value)
        yield f"orientation-{value.decode()}", text(ORIENTATION, b"DS", b"\\".join([value] * 6))
    yield "no-orientation-values", text(ORIENTATION, b"DS", b"1\\0")
    yield "padding-as-text", text(PADDING, b"LO", b"minus a lot")
    for tag in (ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, SIGNED, SAMPLES, PHOTOMETRIC, PIXELS):
        yield f"without-{tag:08x}", {tag: b""}
    yield "modality-table", {
        SLOPE: b"", INTERCEPT: b"",
        0x00283000: element(0x00283000, b"SQ", item(
            element(0x00283002, b"US", struct.pack("<HHH", 0, 65535, 16)) + element(0x00283006, b"OW", b"\0" * 64)))}
    for uid in (b"1.3.46.670589.33.1.4.1", b"1.2.840.113619.5.2", b"1.2.840.10008.1.2.4.100", b"9.9.9", b"", b"text",
                b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.5",
                b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.80"):
        yield f"syntax-{uid.decode() or 'empty'}", meta_syntax(uid)


def compressed(base, draw, flips):
    """(name, change) of what can be wrong with compressed frames."""
    fragments = base.fragments()
    stream = fragments[1]
    for i in range(flips):
        damaged = bytearray(stream)
        for _ in range(draw.choice((1, 1, 4, 40))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        yield f"flip-{i}", base.encapsulated([b"", bytes(damaged)])
    for i in range(flips):
        # The first bytes say how large everything is.
        damaged = bytearray(stream)
        damaged[draw.randrange(min(200, len(damaged)))] ^= 1 << draw.randrange(8)
        yield f"head-{i}", base.encapsulated([b"", bytes(damaged)])
    for share in (0, 1, 10, 50, 90):
        yield f"cut-{share}", base.encapsulated([b"", stream[:len(stream) * share // 200 * 2]])
    yield "no-fragments", base.encapsulated([b""])
    yield "nothing", base.encapsulated([])
    yield "empty-fragments", base.encapsulated([b""] * 100)
    yield "many-fragments", base.encapsulated([b"", *(stream[i:i + 256] for i in range(0, len(stream) & ~1, 256))])
    yield "bad-offsets", {**base.encapsulated([b"\xff" * 16, stream, stream]), **text(FRAMES, b"IS", b"2")}
    yield "frames-without-offsets", {**base.encapsulated([b"", stream[:100], stream[100:]]), **text(FRAMES, b"IS", b"2")}
    yield "no-delimiter", base.encapsulated([b"", stream], end=b"")
    yield "fragment-says-too-much", {
        PIXELS: element(PIXELS, b"OB", item(b"") + item(stream, 0x7FFFFFFE) + END_SEQUENCE, UNDEFINED)}
    yield "huge-description", {**number(ROWS, 65535), **number(COLUMNS, 65535)}
    yield "huge-frame", {**number(ROWS, 8000), **number(COLUMNS, 8000), **base.encapsulated([b"", enlarged(stream)])}
    yield "eight-bits", {**number(ALLOCATED, 8), **number(STORED, 8), **number(HIGH_BIT, 7)}
    yield "three-samples", {**number(SAMPLES, 3), **text(PHOTOMETRIC, b"CS", b"RGB")}
    yield "said-to-be-native", meta_syntax(b"1.2.840.10008.1.2.1")


def enlarged(stream):
    """A JPEG, JPEG-LS or JPEG 2000 stream that claims 8000 × 8000 pixels."""
    jpeg = re.search(rb"\xff[\xc0-\xc3\xf7]..[\x08-\x10]", stream, re.DOTALL)
    if stream[:2] == b"\xff\xd8" and jpeg:
        return stream[:jpeg.end()] + struct.pack(">HH", 8000, 8000) + stream[jpeg.end() + 4:]
    if stream[:4] == b"\xff\x4f\xff\x51":
        return stream[:8] + struct.pack(">II", 8000, 8000) + stream[16:]
    return stream


def frames(base, count, side):
    """One instance of many small native frames."""
    cell = bytes((i * 7) % 251 for i in range(side * side * 2))
    return base.bytes({
        **text(FRAMES, b"IS", str(count).encode()), **number(ROWS, side), **number(COLUMNS, side),
        PIXELS: element(PIXELS, b"OW", cell * count)})


def mutants(native, encapsulated, seed, flips=6):
    """Yields (name, bytes). `native` is a healthy instance, `encapsulated` {name of transfer syntax: instance}."""
    draw = random.Random(seed)
    count = 0

    def own(base):
        nonlocal count
        count += 1
        return base.with_own_uid(count)

    base = Instance(native)
    for name, change, before in structural(base):
        instance = own(base)
        # A UID under test must not be the instance's own.
        yield name, instance.bytes(change, before)
    for name, change in pictorial(base):
        yield name, own(base).bytes(change)
    for syntax, data in sorted({"native": native, **encapsulated}.items()):
        whole = Instance(data)
        if syntax != "native":
            for name, change in compressed(whole, draw, flips):
                yield f"{syntax}-{name}", own(whole).bytes(change)
        sound = own(whole).bytes()
        head = sound.find(struct.pack("<HH", 0x7FE0, 0x0010))
        for at in [0, 1, 131, 132, 133, 140, head, head + 3, head + 9, head + 13, len(sound) - 1] + [
                draw.randrange(len(sound)) for _ in range(flips)]:
            yield f"{syntax}-cut-at-{at}", sound[:at]
        for i in range(flips):
            damaged = bytearray(own(whole).bytes())
            for _ in range(draw.choice((1, 3, 20))):
                damaged[132 + draw.randrange(head - 132)] = draw.randrange(256)
            yield f"{syntax}-head-damaged-{i}", bytes(damaged)
        other = own(whole).bytes()
        cut = draw.randrange(200, head)
        yield f"{syntax}-spliced", other[:cut] + other[draw.randrange(200, len(other)):]
    yield "noise", draw.randbytes(50_000)
    yield "noise-with-prefix", b"\0" * 128 + b"DICM" + draw.randbytes(50_000)
    yield "empty", b""
    yield "text", b"GET / HTTP/1.1\r\nHost: dicom\r\n\r\n" * 100
