# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway that is not Orthanc: a DCMTK storage SCP that knows nothing of Gantry but gantry.h."""

from harness.archive import Archive, build_archive
from harness.gantry import Worker
from harness.orthanc import Sender
from harness.processes import wait_until


def test_another_gateway_stores_the_results_once(start, package, phantoms, tmp_path):
    program = build_archive(tmp_path / "archive")
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    archive = start.process(Archive(program, tmp_path / "archive-folder", {"Workers": [endpoint]})).start()
    worker = start.process(Worker("worker", tmp_path / "worker", endpoint, packages=[package], settings={
        "results": "every", "resend_seconds": 1})).start()
    study = phantoms[1]
    Sender(archive, study.files).finish()

    def stored():
        found = archive.ask(f"study {study.uid}")
        results = found["results"] if found else []
        return results if [result["state"] for result in results] == ["stored", "stored"] else None

    results = wait_until("report and key image are stored", stored, 240)
    assert sorted(result["kind"] for result in results) == ["key-image", "report"]
    assert all((archive.folder / f"{result['object']}.dcm").exists() for result in results)
    wait_until("the host has told of its own objects too",
               lambda: archive.ask("status")["outcomes"].get("own-result") == 2, 240)
    # A worker without memory makes the same ones again, which are known.
    worker.kill()
    for file in worker.state.glob("worker.sqlite*"):
        file.unlink()
    worker.start()
    Sender(archive, phantoms[2].files).finish()
    wait_until("the next study is told", lambda: archive.ask("status")["results"].get("stored") == 4, 240)
    assert stored() == results
    assert int(archive.count()) == len(study.files) + len(phantoms[2].files) + 4
    assert archive.stop() == 0


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

    assert len(wait_until("the study is flagged", flagged, 240)) == 1
    wait_until("the outbox is empty", lambda: archive.ask("status")["outbox"]["waiting"] == 0)
    assert archive.stop() == 0
