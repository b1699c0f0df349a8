# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway that is not Orthanc: a DCMTK storage SCP that knows nothing of Gantry but gantry.h."""

from harness.archive import Archive, build_archive
from harness.gantry import Worker
from harness.orthanc import Sender
from harness.processes import wait_until


def test_another_gateway_flags_a_study_once_also_when_it_was_killed(start, package, phantoms, tmp_path):
    program = build_archive(tmp_path / "archive")
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    archive = start.process(Archive(program, tmp_path / "archive-folder", {"Workers": [endpoint]})).start()
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
