# SPDX-License-Identifier: GPL-3.0-or-later
"""One gateway, its workers and their disks, watched for processes that die by themselves."""

import glob
import json
import os
import shutil
import signal
import sqlite3
import threading
import time
from pathlib import Path

from disks import Disk, Folder
from gateways import GATEWAYS
from harness.gantry import Worker, new_package
from harness.processes import TimedOut, wait_until

# Of the state on disk. A full disk is reached sooner when it is small; the worker keeps preprocessed slices on it.
# And a megabyte more for each fault, as studies go on coming.
GATEWAY_DISK_MEGABYTES = 64
WORKER_DISK_MEGABYTES = 96
QUIET_SECONDS = 1
LARGEST_LOG_TAIL = 6_000


class Member:
    """A process of the bench, and whether it should be there."""

    def __init__(self, name, process, database, ready=lambda: True):
        self.name, self.process, self.database, self.ready = name, process, database, ready
        self.is_wanted = False
        self.largest_kilobytes = 0
        # For as long as this is set, ending with an error that says why is allowed: a supervisor starts it again.
        self.may_give_up = False
        # A fault and the supervisor must not both start it.
        self.lock = threading.Lock()

    def start(self, wait=True):
        with self.lock:
            self.is_wanted = True
            if not self.process.running:
                self.process.start()
        if wait:
            wait_until(f"{self.name} is ready", lambda: not self.process.running or self.ready(), 60)

    def kill(self):
        with self.lock:
            self.is_wanted = False
            self.process.kill()

    def signal(self, number):
        self.process.child.send_signal(number)

    def stop(self):
        with self.lock:
            self.is_wanted = False
            return self.process.stop()

    def death(self):
        """Its exit status when it ended although it should be there; None when all is well."""
        with self.lock:
            return self.process.child.returncode if self.is_wanted and not self.process.running else None

    def note_size(self):
        try:
            text = Path(f"/proc/{self.process.child.pid}/status").read_text()
        except (OSError, AttributeError):
            return
        for line in text.splitlines():
            if line.startswith("VmRSS:"):
                self.largest_kilobytes = max(self.largest_kilobytes, int(line.split()[1]))


class Bench:
    def __init__(self, folder, host, workers, clock_followers, can_mount, results, faults):
        self.folder = Path(folder)
        self.clock = self.folder / "clock"
        self.clock.write_text("+0\n")
        self.clock_seconds = 0
        self.disks = {"gateway": self._disk("gateway", GATEWAY_DISK_MEGABYTES + faults, can_mount)}
        for number in range(workers):
            self.disks[f"worker-{number}"] = self._disk(
                f"worker-{number}", WORKER_DISK_MEGABYTES + faults, can_mount)
        endpoints = [f"ipc://{self.folder}/worker-{number}.ipc" for number in range(workers)]
        self.gateway = GATEWAYS[host](self.folder, {
            "Workers": endpoints, "StateDirectory": str(self.disks["gateway"].path)})
        package = new_package(self.folder / "package")
        self.workers = [
            Worker(f"worker-{number}", self.folder / f"worker-{number}", endpoint, [package], settings={
                "state": str(self.disks[f"worker-{number}"].path / "state"), "quiet_seconds": QUIET_SECONDS,
                "resend_seconds": 2, "example_megabytes": 8, "threads": 1, "results": "every" if results else "off"})
            for number, endpoint in enumerate(endpoints)]
        self.members = {"gateway": Member(
            "gateway", self.gateway.process, self.disks["gateway"].path / "gateway.sqlite", self.gateway.answers)}
        for number, worker in enumerate(self.workers):
            name = f"worker-{number}"
            self.members[name] = Member(
                name, worker.process, self.disks[name].path / "state" / "worker.sqlite")
        for name in clock_followers:
            self._follow_clock(self.members[name].process)
        # What went wrong by itself: (seconds, sentence).
        self.deaths = []
        self.unsaid = []
        self.gave_up = 0
        self.set_aside = {name: [] for name in self.members}
        self.started = time.monotonic()
        self.is_watching = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def _follow_clock(self, process):
        """Makes a process follow the file `clock`. libfaketime sets an environment variable when it is loaded, after
        which a Swift program does not find its arguments; `env` takes that on itself and becomes the program. Its “fix”
        for waiting on a monotonic clock ends each such wait at once, which kept Orthanc's threads spinning."""
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0]
        process.command.insert(0, "/usr/bin/env")
        process.environment.update(
            LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=str(self.clock), FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_FORCE_MONOTONIC_FIX="0", DONT_FAKE_MONOTONIC="1",
            NO_FAKE_STAT="1")

    def _disk(self, name, megabytes, can_mount):
        path = self.folder / f"{name}-state"
        return Disk(path, megabytes) if can_mount else Folder(path)

    def start(self):
        for member in self.members.values():
            member.start()
        self.is_watching.set()
        self.watcher.start()

    def set_clock_back(self, seconds):
        self.clock_seconds -= seconds
        self.clock.write_text(f"{self.clock_seconds}\n")

    # What must not happen

    def _watch(self):
        """Acts as the supervisor of the processes, and remembers that it had to."""
        while self.is_watching.is_set():
            for member in self.members.values():
                status = member.death()
                if status is not None:
                    self._restart(member, status)
                member.note_size()
            time.sleep(0.2)

    def _restart(self, member, status):
        if member.may_give_up and status > 0:
            self.gave_up += 1
        else:
            how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            self.deaths.append((time.monotonic() - self.started, f"{member.name} ended by itself with {how}"))
        time.sleep(0.5)
        with member.lock:
            if member.is_wanted and not member.process.running:
                member.process.start()

    def collect_set_aside(self, name):
        """Takes the databases that a process set aside off its disk, and checks that its log names each."""
        member = self.members[name]
        keep = self.folder / "set-aside" / name
        keep.mkdir(parents=True, exist_ok=True)
        log = member.process.log_text()
        for file in sorted(member.database.parent.glob("*.damaged-*")):
            if not file.name.endswith(("-wal", "-shm")):
                self.set_aside[name].append(file.name)
                if file.name not in log:
                    self.unsaid.append(f"{name} set {file.name} aside and its log does not say so")
            shutil.move(file, keep / file.name)
        # The newest are enough to look at.
        for file in sorted(keep.iterdir(), key=lambda file: file.stat().st_mtime)[:-12]:
            file.unlink()

    def is_intact(self, name):
        """Whether the database of a process can be read from its first to its last page."""
        try:
            database = sqlite3.connect(f"file:{self.members[name].database}?mode=ro", uri=True, timeout=5)
            try:
                return database.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
            finally:
                database.close()
        except sqlite3.Error:
            return False

    # The end

    def heal(self):
        """After the last fault: everything that was taken away is given back."""
        for disk in self.disks.values():
            if disk.can_fail:
                disk.free()
        for member in self.members.values():
            member.may_give_up = False
            if not member.process.running and not member.is_wanted:
                member.start()

    def stop(self):
        self.is_watching.clear()
        if self.watcher.is_alive():
            self.watcher.join(5)
        for member in self.members.values():
            ran = member.process.running
            status = member.stop()
            if ran and status != 0:
                self.deaths.append((time.monotonic() - self.started, f"{member.name} ended with {status} when asked to stop"))

    def log_tails(self):
        """The last lines of each log, for a run that failed."""
        return {name: member.process.log_text()[-LARGEST_LOG_TAIL:] for name, member in self.members.items()}
