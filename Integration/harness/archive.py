# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway that is not Orthanc: Integration/Hosts/archive.cpp, which knows nothing of Gantry but gantry.h."""

import json
import socket
from pathlib import Path

from .processes import LIBRARY, ROOT, Process, free_port, run, wait_until


def build_archive(out):
    """Compiles the host."""
    run("g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/plugin/include",
        ROOT / "Integration/Hosts/archive.cpp", "-o", out, "-ldcmnet", "-ldcmdata", "-loflog", "-lofstd", "-lpthread")
    return out


class Archive:
    """The host as a process, with its archive under `folder`."""

    def __init__(self, program, folder, settings):
        self.folder = Path(folder)
        self.dicom_port, self.control_port = free_port(), free_port()
        self.process = Process("archive", [
            program, LIBRARY, self.folder, self.dicom_port, self.control_port, json.dumps(settings)],
            f"{self.folder}.log")

    def start(self):
        self.process.start()
        wait_until("the archive answers", self.count)
        return self

    def ask(self, line):
        """One line to the control port, its answer as JSON; None when there is no such thing or nobody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.control_port), timeout=120) as control:
                control.sendall(line.encode() + b"\n")
                answer = control.makefile().read().strip()
        except OSError:
            return None
        return None if not answer or answer.startswith("error") else json.loads(answer)

    def count(self):
        """Instances in the archive, as text so that none is an answer too."""
        counted = self.ask("count")
        return None if counted is None else str(counted)

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop()
