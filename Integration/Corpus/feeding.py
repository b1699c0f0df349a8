# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds broken instances to a worker and to a gateway, among healthy ones, and says what became of each."""

import json
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from harness.gantry import GANTRY, read_phantoms
from harness.orthanc import STORESCU
from harness.processes import run, wait_until

from .mutator import Instance, mutants

# Orthanc 1.10.1 itself, with or without the plugin, ends with a segmentation fault on sequences nested 60 deep and on
# some headers with random bytes, and takes a minute over 120,000 elements. The worker gets these too.
NOT_FOR_ORTHANC = ("nested-", "-head-damaged-", "many-elements")
ENCAPSULATED = ("rle", "jpeg-lossless", "jpeg-ls", "jpeg2000")


class Corpus:
    """Broken instances by name, and healthy studies beside them."""

    def __init__(self, folder, seed, flips):
        self.folder = Path(folder)
        bases = {syntax: self._study(syntax, seed) for syntax in ("explicit-le", *ENCAPSULATED)}
        native = bases.pop("explicit-le")
        self.native = Instance(native)
        self.mutants = list(mutants(native, bases, seed, flips))
        self.healthy = self._studies("healthy", seed + 1, 3)

    def _study(self, syntax, seed):
        out = self.folder / syntax
        run(GANTRY, "phantom", "head-ct", "--out", out, "--studies", 1, "--slices", 4, "--seed", seed,
            "--transfer-syntax", syntax)
        return sorted(out.rglob("*.dcm"))[1].read_bytes()

    def _studies(self, name, seed, count):
        out = self.folder / name
        run(GANTRY, "phantom", "head-ct", "--out", out, "--studies", count, "--slices", 4, "--seed", seed)
        return read_phantoms(out)


def feed_worker(gateway, corpus, extra=()):
    """Sends everything over the hand-over, one healthy study in the middle and one at the end.

    Gives {name: (outcome, study, reason)}.
    """
    broken = [*corpus.mutants, *extra]
    sent = {}
    for index, (name, data) in enumerate(broken):
        if index == len(broken) // 2:
            send_healthy(gateway, corpus.healthy[0])
        sent[gateway.instance(data)] = name
    gateway.wait_for_acks()
    send_healthy(gateway, corpus.healthy[1])
    gateway.wait_for_acks()
    gateway.wait("flags of the healthy studies", lambda: all(
        gateway.final_flag(study.uid) for study in corpus.healthy[:2]), 60)
    for study in corpus.healthy[:2]:
        assert gateway.final_flag(study.uid)["instances"]["scored"] == len(study.files)
    return {name: gateway.acks[sequence] for sequence, name in sent.items()}


def send_healthy(gateway, study):
    for file in study.files:
        gateway.instance(file.read_bytes())


def check_outcomes(outcomes):
    """Each has an outcome, and what is not scored has a reason that begins with its name."""
    for name, (outcome, _, reason) in outcomes.items():
        assert outcome in ("scored", "ignored", "set-aside", "unlabelled"), (name, outcome)
        assert outcome == "scored" or reason, (name, outcome, "without a reason")
        if outcome == "set-aside":
            assert reason.split(":")[0].replace("-", "").isalpha(), (name, reason)


def table(outcomes):
    """How many of each kind, as text."""
    kinds = Counter(
        outcome if outcome != "set-aside" else f"set aside: {reason.split(':')[0]}"
        for outcome, _, reason in outcomes.values())
    return "\n".join(f"  {count:5}  {kind}" for kind, count in sorted(kinds.items()))


def feed_gateway(orthanc, corpus):
    """Gives Orthanc every broken instance, by REST (which takes any bytes) and by C-STORE, and waits until each that it
    accepted has an outcome. Gives (accepted by REST, accepted by C-STORE)."""
    fed = [(name, data) for name, data in corpus.mutants if not any(part in name for part in NOT_FOR_ORTHANC)]
    by_rest = sum(post_instance(orthanc, data) for _, data in fed)
    folder = corpus.folder / "files"
    folder.mkdir()
    for index, (name, data) in enumerate(fed):
        if not name.startswith(ENCAPSULATED):
            (folder / f"{index:04}.dcm").write_bytes(data)
    # --no-halt goes on after a file that DCMTK itself cannot read or that is refused.
    answer = subprocess.run(
        [STORESCU, "-v", "-nh", "-aec", "ORTHANC", "+sd", "127.0.0.1", str(orthanc.dicom_port), folder],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300,
        env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"}).stdout
    by_dicom = answer.count("Received Store Response (Success)")
    wait_until("the outbox is empty", lambda: orthanc.waiting() == 0, 300)
    for study in orthanc.get("/studies?expand"):
        stored = {instance["ID"] for instance in orthanc.get(f"/studies/{study['ID']}/instances")}

        def accounted():
            seen = orthanc.study(study["ID"])
            return seen if seen and sum(seen["counts"].values()) >= len(stored) else None

        seen = wait_until(f"all {len(stored)} instances of a study have an outcome", accounted, 60)
        for entry in seen["set_aside"] + seen["ignored"]:
            assert entry["reason"], entry
    return by_rest, by_dicom


def post_instance(orthanc, data):
    """1 when Orthanc stored it, else 0."""
    request = urllib.request.Request(orthanc.url + "/instances", data or b"\0", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return int(json.loads(answer.read())["Status"] in ("Success", "AlreadyStored"))
    except urllib.error.HTTPError:
        return 0


def peak_megabytes(process):
    """The most resident memory that a process has had."""
    text = Path(f"/proc/{process.child.pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) // 1024
