# SPDX-License-Identifier: GPL-3.0-or-later
"""Small disks of their own for the state of each process, which can be filled and made read-only."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

MARK = "GANTRY_FAULTS_NAMESPACE"


def enter_namespace():
    """Starts this program again where it may mount; there nothing that it mounts is seen by others or outlives it.

    Returns whether mounting is possible. Without it the faults that need a disk are left out."""
    if os.environ.get(MARK):
        # libfaketime leaves files here that are named by process, and takes those that others left for its own.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
        return True
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    probe = subprocess.run([*command, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode != 0:
        return False
    os.environ[MARK] = "1"
    os.execvp(command[0], [*command, "--propagation", "private", sys.executable, *sys.argv])


class Folder:
    """The state of a process where mounting is not possible: a plain folder."""

    can_fail = False

    def __init__(self, path):
        self.path = Path(path)
        self.path.mkdir(parents=True)

    def keep(self):
        """Leaves the content where it can be looked at after the run."""


class Disk(Folder):
    """The state of a process on a tmpfs."""

    can_fail = True

    def __init__(self, path, megabytes):
        super().__init__(path)
        self.ballast = self.path / "ballast"
        self._mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", self.path)

    def fill(self):
        """Takes all space that is left."""
        with open(self.ballast, "ab", buffering=0) as file:
            for block in (1 << 20, 1 << 12):
                zeros = bytes(block)
                try:
                    while True:
                        if file.write(zeros) < block:
                            break
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def make_read_only(self):
        """Not possible while a process has a file open for writing."""
        self._mount("-o", "remount,ro", self.path)

    def make_writable(self):
        self._mount("-o", "remount,rw", self.path)

    def keep(self):
        shutil.copytree(self.path, f"{self.path}-at-end", ignore=shutil.ignore_patterns("ballast"), dirs_exist_ok=True)

    @staticmethod
    def _mount(*arguments):
        done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(f"mount {' '.join(map(str, arguments))}: {done.stderr.strip()}")
