# SPDX-License-Identifier: GPL-3.0-or-later
"""DICOM that streams in all the time, and a ledger of what the gateway acknowledged."""

import hashlib
import random
import re
import shutil
import threading
import time
from pathlib import Path

from harness.gantry import make_phantoms
from harness.orthanc import Sender
from harness.processes import run

SLICES = 12
JPEG_LS = ["-xt"]


def renamed(uid, salt):
    """Another UID of the same length, always the same for the same salt."""
    digits = str(int.from_bytes(hashlib.sha256(f"{salt} {uid}".encode()).digest(), "big")).strip("0")
    return "2.25." + digits[:len(uid) - len("2.25.")]


class Study:
    """One study of the stream: a phantom under UIDs of its own."""

    def __init__(self, template, salt, count):
        self.template, self.salt = template, salt
        self.uid = renamed(template.uid, salt)
        self.patient = template.patient
        # Slices that are sent at first; the others may come late.
        self.slices = sorted(random.Random(salt).sample(range(len(template.instances)), count))
        self.acknowledged = set()
        self.sent = set()
        self.busy = False

    @property
    def instances(self):
        """The SOPInstanceUIDs of all its slices, sent or not."""
        return {self.instance(number) for number in range(len(self.template.files))}

    def instance(self, slice_number):
        """SOPInstanceUID of a slice."""
        return renamed(self.template.instances[slice_number], self.salt)

    def write(self, slice_number, folder):
        """The slice as a file."""
        content = self.template.files[slice_number].read_bytes()
        for uid in (self.template.uid, self.template.instances[slice_number], *self.template.others):
            content = content.replace(uid.encode(), renamed(uid, self.salt).encode())
        file = folder / f"{slice_number}.dcm"
        file.write_bytes(content)
        return file


class Template:
    """A phantom study on disk, under whose UIDs nothing is ever sent."""

    def __init__(self, phantom):
        self.uid, self.files = phantom.uid, phantom.files
        self.instances, others = [], set()
        for file in self.files:
            dump = run("/usr/bin/dcmdump", "+L", "-Un", "+P", "0008,0018", "+P", "0020,000e", "+P", "0020,0052",
                       "+P", "0010,0020", file)
            found = dict(re.findall(r"\(([0-9a-f]{4},[0-9a-f]{4})\) .. \[([^\]]*)\]", dump))
            self.instances.append(found["0008,0018"])
            others |= {found[tag] for tag in ("0020,000e", "0020,0052") if tag in found}
            self.patient = found["0010,0020"].strip()
        self.others = sorted(others)


class Stream:
    """Several senders, one association each at a time, that go on whatever happens to the gateway."""

    def __init__(self, folder, gateway, seed, senders):
        self.folder = Path(folder)
        self.gateway = gateway
        self.seed = seed
        self.studies = []
        self.refused = 0
        self.associations = 0
        # Jobs that go before new studies: (not before, study, slices).
        self.jobs = []
        self.lock = threading.Lock()
        self.is_paused = threading.Event()
        self.is_stopping = threading.Event()
        self.errors = []
        self.threads = [threading.Thread(target=self._send_all, args=(number,)) for number in range(senders)]
        phantoms = make_phantoms(self.folder / "phantoms-a", 3, seed=1, slices=SLICES, transfer_syntax="jpeg-ls")
        phantoms += make_phantoms(self.folder / "phantoms-b", 2, seed=2, look="b", slices=SLICES, transfer_syntax="jpeg-ls")
        self.templates = [Template(phantom) for phantom in phantoms]

    def start(self):
        for thread in self.threads:
            thread.start()

    def finish(self, seconds=120):
        """No new studies; gives what waits to be sent again its chance, then ends."""
        self.is_paused.set()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.lock:
                if not self.jobs and not any(study.busy for study in self.studies):
                    break
            time.sleep(0.1)
        self.is_stopping.set()
        for thread in self.threads:
            thread.join(30)

    # What faults ask for

    def send_again(self, rng):
        """A study that was acknowledged before, once more; gives a sentence."""
        study = self._known(rng, lambda study: study.acknowledged)
        if study is None:
            return "no study yet"
        slices = [number for number in range(SLICES) if study.instance(number) in study.acknowledged]
        self._enqueue(study, slices, 0)
        return f"{len(slices)} instances of a study that was sent before"

    def send_late(self, rng):
        """More instances of a study that was complete; gives a sentence."""
        study = self._known(rng, lambda study: study.acknowledged and len(study.sent) < SLICES)
        if study is None:
            return "no study yet"
        missing = [number for number in range(SLICES) if study.instance(number) not in study.sent]
        slices = rng.sample(missing, rng.randint(1, min(3, len(missing))))
        self._enqueue(study, slices, 0)
        return f"{len(slices)} more instances of a study that was sent before"

    def _known(self, rng, accept):
        with self.lock:
            # Mostly recent ones, at times one from long ago.
            recent = self.studies[-40:] if rng.random() < 0.8 else self.studies
            found = [study for study in recent if not study.busy and accept(study)]
        return rng.choice(found) if found else None

    # Sending

    def _enqueue(self, study, slices, delay):
        with self.lock:
            self.jobs.append((time.monotonic() + delay, study, slices))

    def _next(self, rng):
        with self.lock:
            now = time.monotonic()
            for job in self.jobs:
                # One association for a study at a time: the ledger of a study belongs to its sender.
                if job[0] <= now and not job[1].busy:
                    self.jobs.remove(job)
                    job[1].busy = True
                    return job[1], job[2]
            if self.is_paused.is_set():
                return None
            study = Study(rng.choice(self.templates), f"{self.seed}/{len(self.studies)}", rng.randint(3, 9))
            study.busy = True
            self.studies.append(study)
            return study, study.slices

    def _send_all(self, number):
        rng = random.Random(f"{self.seed}/sender/{number}")
        while not self.is_stopping.is_set():
            job = self._next(rng)
            if job is None:
                time.sleep(0.05)
                continue
            try:
                self._send(*job, rng, self.folder / f"outgoing-{number}")
            except Exception as error:  # shown with the account
                self.errors.append(f"{type(error).__name__}: {error}")
            finally:
                job[0].busy = False
            self.is_stopping.wait(rng.uniform(0.1, 1.2))

    def _send(self, study, slices, rng, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = {str(study.write(number, folder)): number for number in slices}
        sender = Sender(self.gateway, files, JPEG_LS)
        sender.finish(check=False)
        with self.lock:
            self.associations += 1
            self.refused += len(sender.refused)
            study.sent |= {study.instance(number) for number in slices}
            study.acknowledged |= {study.instance(files[file]) for file in sender.acknowledged}
        rest = [number for file, number in files.items() if file not in sender.acknowledged]
        # Most senders try again what got no response; some never do.
        if rest and (len(rest) == len(slices) or rng.random() < 0.8):
            self._enqueue(study, rest, rng.uniform(0.5, 2))
