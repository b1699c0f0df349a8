# SPDX-License-Identifier: GPL-3.0-or-later
"""Gantry's own processes: worker, hub, and a hospital made of gateway and worker."""

import csv
import json
import shutil
import sqlite3
import urllib.request
from pathlib import Path

from .orthanc import Orthanc
from .processes import BIN, Process, free_port, run, wait_until

GANTRY = BIN / "gantry"
FINDING = "intracranial-haemorrhage"


class Worker:
    """A gantry-worker for one gateway endpoint."""

    def __init__(self, name, folder, endpoint, packages=(), hub=None, site_key=None, settings=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"
        self.transcript = self.folder / "sent-to-hub.log"
        configuration = {
            "name": name, "endpoint": endpoint, "state": str(self.state),
            **({"packages": [str(package) for package in packages]} if packages is not None else {}),
            # What counts instances counts those that were sent; test_20_results switches it on.
            "results": "off", **(settings or {}),
        }
        if hub:
            configuration.update(
                hub=hub.endpoint, hub_key=hub.public_key, site_key=str(site_key), transcript=str(self.transcript))
        file = self.folder / "worker.json"
        file.write_text(json.dumps(configuration, indent=2))
        self.process = Process(name, [BIN / "gantry-worker", "run", "--config", file], self.folder / "worker.log")

    def start(self):
        self.process.start()
        return self

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    def rows(self, query, *values):
        """Rows of worker.sqlite, read only."""
        return read_rows(self.state / "worker.sqlite", query, values)

    def packages(self, **columns):
        """Rows of the packages whose columns have these values; none while the database is made."""
        where = " AND ".join(f"{column} = ?" for column in columns) or "1"
        try:
            return self.rows(f"SELECT * FROM package WHERE {where} ORDER BY installed_at_ms", *columns.values())
        except sqlite3.OperationalError:
            return []

    def model(self, command, *arguments, check=True):
        """What `gantry model COMMAND` says about this worker's packages."""
        return run(GANTRY, "model", command, *arguments, "--state", self.state, check=check)


class Hub:
    """A gantry-hub with its state under `folder`."""

    def __init__(self, folder, options=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.http_port = free_port()
        run(BIN / "gantry-hub", "init", "--state", self.state, "--endpoint", self.endpoint,
            "--http", f"127.0.0.1:{self.http_port}")
        self.public_key = (self.state / "hub.pub").read_text().strip()
        self.process = Process(
            "hub", [BIN / "gantry-hub", "run", "--state", self.state, *options], self.folder / "hub.log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http_port}"

    def start(self):
        self.process.start()
        wait_until("the hub answers", self.status, 120)
        return self

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    def enrol(self, name):
        """Makes a site's keys and enrols it; gives the path of the secret key."""
        run(GANTRY, "site", "keygen", "--name", name, "--out", self.folder / "keys")
        run(BIN / "gantry-hub", "site", "add", "--state", self.state, "--name", name,
            "--key", self.folder / "keys" / f"{name}.pub")
        return self.folder / "keys" / f"{name}.key"

    def add_model(self, package):
        run(BIN / "gantry-hub", "model", "add", "--state", self.state, package)

    def status(self):
        """The status page's JSON; None while the hub does not answer."""
        try:
            with urllib.request.urlopen(self.url + "/api/status", timeout=10) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def versions(self):
        """The ids of all global versions, oldest first."""
        return [row["id"] for row in self.rows("SELECT id FROM version ORDER BY number")]

    def rows(self, query, *values):
        """Rows of hub.sqlite, read only."""
        return read_rows(self.state / "hub.sqlite", query, values)


class Hospital:
    """A gateway and its worker."""

    def __init__(self, name, folder, packages=(), hub=None, gantry=None, worker=None, orthanc=None, users=None):
        """`gantry`, `worker`, `orthanc`: settings of the plugin, the worker and Orthanc beyond the harness's own; `users`:
        see Orthanc."""
        self.name = name
        self.folder = Path(folder)
        self.orthanc = Orthanc(name, self.folder / "orthanc", gantry=gantry, extra=orthanc, users=users)
        site_key = hub.enrol(name) if hub else None
        self.worker = Worker(
            f"{name}-worker", self.folder / "worker", self.orthanc.worker_endpoint, packages, hub, site_key, worker)

    def start(self):
        self.worker.start()
        self.orthanc.start()
        return self

    def stop(self):
        self.orthanc.stop()
        self.worker.stop()

    def approve(self, seconds=240):
        """Takes the package that the hub offers, as an administrator does, and waits until it is live."""
        waiting = wait_until(
            f"a package waits for approval at {self.name}",
            lambda: self.worker.packages(state="waiting"), seconds)
        said = self.worker.model("approve", waiting[0]["package"])
        wait_until(
            f"the approved package is live at {self.name}",
            lambda: self.worker.packages(package=waiting[0]["package"], state="active"), seconds)
        return said

    def wait_for_flags(self, studies, seconds=120):
        """Waits until each StudyInstanceUID has a final flag; gives them by study."""
        flags = {}

        def all_there():
            for study in studies:
                if study not in flags:
                    found = self.orthanc.final_flags(study)
                    if not found:
                        return None
                    flags[study] = found
            return True

        wait_until(f"{len(studies)} studies flagged at {self.name}", all_there, seconds)
        return flags


def read_rows(file, query, values=()):
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query, values)]
    finally:
        connection.close()


def new_package(out, task="head-ct-haemorrhage", seed=1):
    """A fresh trainable package without Python."""
    run(GANTRY, "model", "new", "--architecture", "small-cnn", "--task", task, "--seed", seed, "--out", out)
    return out


def taking_everything(package, out):
    """A copy of a package that takes every modality, body part and SOP class."""
    shutil.copytree(package, out)
    manifest = Path(out) / "configs" / "gantry.json"
    settings = json.loads(manifest.read_text())
    settings["takes"] = {"modalities": [], "body_parts": [], "sop_classes": []}
    manifest.write_text(json.dumps(settings))
    return out


class Study:
    """A phantom study on disk with its truth."""

    def __init__(self, uid, files, present):
        self.uid = uid
        self.files = files
        self.present = present


def make_phantoms(out, studies, seed, look="a", slices=20, kind="head-ct", prevalence=0.5, transfer_syntax=None):
    """Phantom studies with known truth, in the order of their folders."""
    command = [GANTRY, "phantom", kind, "--out", out, "--studies", studies, "--seed", seed, "--look", look,
               "--prevalence", prevalence]
    if kind == "head-ct":
        command += ["--slices", slices]
    if transfer_syntax:
        command += ["--transfer-syntax", transfer_syntax]
    run(*command)
    return read_phantoms(out)


def read_phantoms(out):
    out = Path(out)
    with open(out / "truth.csv", newline="") as file:
        truth = list(csv.DictReader(file))
    folders = sorted(folder for folder in out.iterdir() if folder.is_dir())
    if len(folders) != len(truth):
        raise RuntimeError(f"{out}: {len(folders)} study folders and {len(truth)} rows in truth.csv")
    return [
        Study(row["StudyInstanceUID"], sorted(folder.glob("*.dcm")), row["present"] in ("1", "true", "yes"))
        for folder, row in zip(folders, truth)]


def area_under_curve(scores):
    """AUC of (probability, present) pairs, ties counted half; None when one class is missing."""
    present = [score for score, truth in scores if truth]
    absent = [score for score, truth in scores if not truth]
    if not present or not absent:
        return None
    wins = sum((p > a) + 0.5 * (p == a) for p in present for a in absent)
    return wins / (len(present) * len(absent))
