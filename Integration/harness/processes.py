# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes with a log file each, and waiting for conditions with a deadline."""

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".build" / "gantry" / "bin"
LIBRARY = ROOT / ".build" / "gantry" / "lib" / "libgantry.so"
SHARED_DATA = ROOT.parent / "shared" / "data"


class TimedOut(Exception):
    """A condition that did not come true before its deadline."""


def wait_until(what, condition, seconds=120, interval=0.05):
    """Returns the first true value of `condition()`; raises TimedOut naming `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"{what}: not within {seconds} s (last seen: {value!r})")
        time.sleep(interval)


def free_port():
    """A TCP port that nobody uses at this moment, below those that outgoing connections are given: else one of them may
    have it when a process that was killed comes back to its port."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Process:
    """A child process that writes to a log file; it dies with the one who started it only if `stop` is called."""

    def __init__(self, name, command, log, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = Path(log)
        self.environment = {**os.environ, **(environment or {})}
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C on the terminal reaches the harness, which then stops in order.
            self.child = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment,
                start_new_session=True)
        return self

    @property
    def running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """kill -9, as a fault."""
        if self.running:
            self.child.kill()
        if self.child:
            self.child.wait()

    def stop(self, seconds=15):
        """SIGTERM, then SIGKILL when it does not end in time; gives the exit status."""
        if self.running:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait() if self.child else None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def run(*command, check=True, seconds=600):
    """Runs a command to its end and gives its output; raises with that output when it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout
