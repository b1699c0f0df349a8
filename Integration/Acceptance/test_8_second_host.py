# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway that is not Orthanc: a DCMTK storage SCP that knows nothing of Gantry but gantry.h."""

import json
import socket

from harness.gantry import Worker
from harness.orthanc import Sender
from harness.processes import LIBRARY, ROOT, Process, free_port, run, wait_until


class Archive:
    """Integration/Hosts/archive.cpp as a process."""

    def __init__(self, program, folder, endpoint):
        self.folder = folder
        self.dicom_port, self.control_port = free_port(), free_port()
        self.process = Process("archive", [
            program, LIBRARY, folder, self.dicom_port, self.control_port, json.dumps({"Workers": [endpoint]})],
            f"{folder}.log")

    def start(self):
        self.process.start()
        wait_until("the archive answers", self.count, 30)
        return self

    def ask(self, line):
        """One line to the control port, its answer as JSON; None while nobody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.control_port), timeout=10) as control:
                control.sendall(line.encode() + b"\n")
                answer = control.makefile().read().strip()
        except OSError:
            return None
        return None if answer.startswith("error") else json.loads(answer)

    def count(self):
        """Instances in the archive, as text so that none is an answer too."""
        counted = self.ask("count")
        return None if counted is None else str(counted)

    def stop(self):
        return self.process.stop()


def test_another_gateway_flags_a_study_once_also_when_it_was_killed(start, package, phantoms, tmp_path):
    program = tmp_path / "archive"
    run("g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/plugin/include",
        ROOT / "Integration/Hosts/archive.cpp", "-o", program, "-ldcmnet", "-ldcmdata", "-loflog", "-lofstd", "-lpthread")
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    archive = start.process(Archive(program, tmp_path / "archive-folder", endpoint)).start()
    study = phantoms[0]
    sender = Sender(archive, study.files)
    for accepted in sender.responses():
        if accepted == len(study.files) // 2:
            archive.process.kill()
    sender.child.wait()
    archive.start()
    stored = int(archive.count())
    assert stored >= sender.accepted >= len(study.files) // 2
    worker = start.process(Worker("worker", tmp_path / "worker", endpoint, packages=[package]))
    worker.start()

    def flagged():
        found = archive.ask(f"study {study.uid}")
        flags = found["flags"] if found else []
        return flags if flags and flags[0]["state"] == "final" and flags[0]["instances"]["scored"] == stored else None

    assert len(wait_until("the study is flagged", flagged, 60)) == 1
    assert archive.ask("status")["outbox"]["waiting"] == 0
    assert archive.stop() == 0
