# SPDX-License-Identifier: GPL-3.0-or-later
"""What one side lost after it had acknowledged, the other gives back. Faults at random moments: test_14_faults.py."""

import os
import shutil
import sqlite3

from harness.gantry import FINDING
from harness.processes import wait_until


class Database:
    """A database of a process that is not running, with its write-ahead log."""

    def __init__(self, path):
        self.path = path
        self.kept = path.parent.parent / f"{path.name}-kept"

    def _files(self):
        return [self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal", "-shm")]

    def keep(self):
        """Remembers the files as they are now."""
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        for file in self._files():
            if file.exists():
                shutil.copy(file, self.kept)

    def go_back(self):
        """Every commit since `keep` is lost, as when the end of the log never reached the disk."""
        self.remove()
        for file in self.kept.iterdir():
            shutil.copy(file, self.path.parent)

    def remove(self):
        for file in self._files():
            file.unlink(missing_ok=True)

    def garble(self):
        """Random bytes instead of every page, in place, with the process running or not."""
        for file in self._files()[:2]:
            if file.exists():
                with open(file, "r+b") as content:
                    content.write(os.urandom(file.stat().st_size))


def of_worker(hospital):
    return Database(hospital.worker.state / "worker.sqlite")


def of_gateway(hospital):
    return Database(hospital.orthanc.folder / "gantry" / "gateway.sqlite")


def flag(hospital, study, instances):
    """The one flag of the study, once it is final over `instances`."""

    def complete():
        found = hospital.orthanc.study(study.uid)
        flags = found["flags"] if found else []
        is_final = flags and flags[0]["state"] == "final" and flags[0]["instances"]["received"] == instances
        return flags if is_final else None

    flags = wait_until(f"{study.uid} is flagged over {instances} instances", complete, 240)
    assert len(flags) == 1
    return flags[0]


def send_and_flag(hospital, study, files=None):
    files = files or study.files
    hospital.orthanc.send(files)
    return flag(hospital, study, len(files))


def in_worker(hospital, study):
    """Final flags and instances of the study in the worker's database."""
    try:
        instances = hospital.worker.rows("SELECT COUNT(*) AS n FROM instance WHERE study_instance_uid = ?", study.uid)
        flags = hospital.worker.rows(
            "SELECT COUNT(*) AS n FROM flag WHERE study_instance_uid = ? AND state = 'final'", study.uid)
    except (OSError, sqlite3.Error):
        return None
    return flags[0]["n"], instances[0]["n"]


def known_again(hospital, study):
    """The worker has the whole study and its final flag."""
    wait_until(
        f"the worker has {study.uid} again", lambda: in_worker(hospital, study) == (1, len(study.files)), 240)
    return flag(hospital, study, len(study.files))


def nothing_waits(hospital):
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)


def database_of(hospital):
    return hospital.orthanc.get("/gantry/status")["database"]


def test_what_the_worker_lost_with_its_last_commits_comes_back_from_the_gateway(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    first, second = phantoms[:2]
    before = send_and_flag(hospital, first)
    # A part of the second study is acknowledged before the moment that the worker goes back to.
    half = len(second.files) // 2
    send_and_flag(hospital, second, second.files[:half])
    hospital.worker.kill()
    of_worker(hospital).keep()
    hospital.worker.start()
    shown = send_and_flag(hospital, second)
    hospital.worker.kill()
    of_worker(hospital).go_back()
    hospital.worker.start()
    again = known_again(hospital, second)
    assert again["revision"] > shown["revision"], "what is told after a loss is numbered above what was shown"
    assert flag(hospital, first, len(first.files))["revision"] == before["revision"], "this one was not lost"
    nothing_waits(hospital)


def test_what_the_gateway_lost_with_its_last_commits_comes_back_from_worker_and_log(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    first, second = phantoms[:2]
    send_and_flag(hospital, first)
    hospital.orthanc.kill()
    of_gateway(hospital).keep()
    hospital.orthanc.start()
    shown = send_and_flag(hospital, second)
    nothing_waits(hospital)
    hospital.orthanc.kill()
    of_gateway(hospital).go_back()
    hospital.orthanc.start()
    assert flag(hospital, second, len(second.files))["revision"] == shown["revision"]
    flag(hospital, first, len(first.files))
    nothing_waits(hospital)


def test_a_worker_without_its_database_gets_unfinished_and_reviewed_studies_back(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    finished, reviewed = phantoms[:2]
    for study in (finished, reviewed):
        send_and_flag(hospital, study)
    hospital.worker.kill()
    of_worker(hospital).remove()
    hospital.worker.start()
    unfinished = phantoms[2]
    send_and_flag(hospital, unfinished)
    assert in_worker(hospital, finished) == (0, 0), "nobody needs it"
    hospital.orthanc.review(reviewed.uid, FINDING, "agree")
    wait_until(
        "the review is a label",
        lambda: hospital.orthanc.study(reviewed.uid)["reviews"][0]["state"] == "accepted", 240)
    known_again(hospital, reviewed)


def test_a_garbled_worker_database_is_set_aside_at_start_and_said(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    send_and_flag(hospital, phantoms[0])
    hospital.worker.kill()
    of_worker(hospital).garble()
    hospital.worker.start()
    send_and_flag(hospital, phantoms[1])
    flag(hospital, phantoms[0], len(phantoms[0].files))
    said_by_worker(hospital)


def test_a_worker_database_that_is_garbled_in_use_is_set_aside_without_a_restart(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    send_and_flag(hospital, phantoms[0])
    process = hospital.worker.process.child.pid
    of_worker(hospital).garble()
    for study in phantoms[1:3]:
        hospital.orthanc.send(study.files)
    for study in phantoms[1:3]:
        known_again(hospital, study)
    assert hospital.worker.process.running and hospital.worker.process.child.pid == process
    said_by_worker(hospital)


def said_by_worker(hospital):
    """One log line names the file; the gateway's status shows it."""
    aside = [file.name for file in hospital.worker.state.glob("worker.sqlite.damaged-*")
             if not file.name.endswith(("-wal", "-shm"))]
    assert len(aside) == 1
    log = hospital.worker.process.log_text()
    assert len([line for line in log.splitlines() if aside[0] in line]) == 1

    def shown():
        models = hospital.orthanc.get("/gantry/status")["models"]
        return models and models["database"]["set_aside"] == 1 and models["database"]["last_set_aside"]

    assert wait_until("the status shows it", shown)["path"].endswith(aside[0])


def test_a_garbled_gateway_database_is_set_aside_and_rebuilt(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    send_and_flag(hospital, phantoms[0])
    hospital.orthanc.kill()
    of_gateway(hospital).garble()
    hospital.orthanc.start()
    send_and_flag(hospital, phantoms[1])
    flag(hospital, phantoms[0], len(phantoms[0].files))
    nothing_waits(hospital)
    database = database_of(hospital)
    assert database["set_aside"] == 1 and database["state"] == "ok"
    aside = database["last_set_aside"]
    assert aside["reason"] and len(hospital.orthanc.process.log_text().split(aside["path"])) == 2


def test_a_gateway_without_its_database_is_rebuilt(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    for study in phantoms[:2]:
        send_and_flag(hospital, study)
    hospital.orthanc.kill()
    of_gateway(hospital).remove()
    hospital.orthanc.start()
    for study in phantoms[:2]:
        flag(hospital, study, len(study.files))
    nothing_waits(hospital)
