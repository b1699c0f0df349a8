# SPDX-License-Identifier: GPL-3.0-or-later
"""What power losses and bad disks do to a SQLite database whose process is dead."""

import os
import sqlite3
import struct
from pathlib import Path

WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24


def beside(database, suffix):
    return Path(f"{database}{suffix}")


def lose_tail(database, rng):
    """Cuts the write-ahead log at a random byte, or garbles it from there on; gives a sentence.

    What was copied into the database is not cut: SQLite makes the log durable before it copies, so no power loss takes
    these frames and leaves the copies. (The number of copied frames is read from the index that the dead process left,
    https://www.sqlite.org/walformat.html: mxFrame at byte 16, nBackfill at byte 96.)"""
    wal, index = beside(database, "-wal"), beside(database, "-shm")
    if not wal.exists() or not index.exists() or wal.stat().st_size < WAL_HEADER_BYTES:
        return "there was no write-ahead log"
    with open(index, "rb") as file:
        head = file.read(136)
    if len(head) < 136:
        return "the write-ahead log was new"
    (frames,) = struct.unpack_from("=I", head, 16)
    (copied,) = struct.unpack_from("=I", head, 96)
    with open(wal, "rb") as file:
        (page_bytes,) = struct.unpack_from(">I", file.read(WAL_HEADER_BYTES), 8)
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    if copied >= frames:
        return f"all {frames} frames of the write-ahead log were in the database"
    size = wal.stat().st_size
    end = min(size, WAL_HEADER_BYTES + frames * frame_bytes)
    cut = rng.randrange(WAL_HEADER_BYTES + copied * frame_bytes, max(end, WAL_HEADER_BYTES + copied * frame_bytes + 1))
    if rng.random() < 0.3:
        with open(wal, "r+b") as file:
            file.seek(cut)
            file.write(rng.randbytes(size - cut))
        what = "garbled from"
    else:
        os.truncate(wal, cut)
        what = "cut at"
    return f"{what} byte {cut} of {end}: {frames - max(0, cut - WAL_HEADER_BYTES) // frame_bytes} of {frames} frames lost"


def garble_pages(database, rng):
    """Overwrites some pages with garbage; also possible while a process uses the database.

    What is in the write-ahead log is copied into the database before: else the log would hide the garbage."""
    try:
        connection = sqlite3.connect(database, timeout=2)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        connection.close()
    except sqlite3.Error:
        pass
    size = database.stat().st_size
    if size < 4096:
        return "the database was empty"
    pages = rng.sample(range(size // 4096), min(size // 4096, rng.randint(1, 6)))
    with open(database, "r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(rng.randbytes(4096))
    return f"garbage in page {', '.join(str(page + 1) for page in sorted(pages))} of {size // 4096}"


def replace_with_rubbish(database, rng):
    """A file that is no database at all, in the place of the database."""
    beside(database, "-wal").unlink(missing_ok=True)
    beside(database, "-shm").unlink(missing_ok=True)
    size = rng.randint(100, 200_000)
    database.write_bytes(rng.randbytes(size))
    return f"{size} random bytes instead of the database"


def delete(database, _):
    for suffix in ("", "-wal", "-shm"):
        beside(database, suffix).unlink(missing_ok=True)
    return "the database was deleted"
