# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags are early: complete by what a study, its series, its acquisitions or a site's modalities count, else by quiet; a
preliminary flag while slices still arrive; one row that late instances revise; and all of it while the worker trains."""

import json

import pytest

from harness.gantry import FINDING, make_phantoms, new_package
from harness.modality import Instance, copy_of_study, send, uid
from harness.processes import run, wait_until

# Long enough that nothing in a test ends it by being slow.
QUIET = {"quiet_seconds": 3600}
# For a machine that does other things too.
PATIENCE = 400


@pytest.fixture(scope="module")
def eager(tmp_path_factory):
    """A package whose threshold every slice reaches."""
    package = new_package(tmp_path_factory.mktemp("eager") / "head-ct")
    file = package / "configs" / "gantry.json"
    manifest = json.loads(file.read_text())
    manifest["findings"][0]["threshold"] = 1e-6
    file.write_text(json.dumps(manifest))
    return package


@pytest.fixture(scope="module")
def slices(phantoms):
    """A study without any count of its own."""
    return [Instance(file).with_values(IMAGES_IN_ACQUISITION=None) for file in phantoms[0].files]


def ready(hospital):
    hospital.start()
    wait_until("the worker takes instances", lambda: hospital.orthanc.get("/gantry/status")["workers"][0]["credit_bytes"] > 0, PATIENCE)
    return hospital


def flags(hospital, name):
    found = hospital.orthanc.study(uid(name))
    return found["flags"] if found else []


def final_flag(hospital, name, instances):
    """The final flag over so many instances, which the study has one of and the worklist one row."""
    def there():
        found = flags(hospital, name)
        return found and found[0]["state"] == "final" and found[0]["instances"]["received"] == instances and found
    found = wait_until(f"a final flag of {name} over {instances} instances", there, PATIENCE)
    assert len(found) == 1
    assert [row["study"] for row in hospital.orthanc.worklist()].count(uid(name)) == 1
    return found[0]


def scored(hospital, name, instances):
    """Waits until the worker has taken so many instances of the study."""
    wait_until(f"{instances} instances of {name} are scored", lambda: hospital.worker.rows(
        "SELECT COUNT(*) AS n FROM instance WHERE study_instance_uid = ?", uid(name))[0]["n"] == instances, PATIENCE)


def test_a_study_is_final_by_whatever_it_counts_and_the_flag_says_by_what(start, package, slices):
    hospital = ready(start.hospital(packages=[package], worker={
        **QUIET, "counted_quiet_seconds": 0.3, "expected_counts": [
            {"tag": "0009,xx42", "creator": "GANTRY TEST", "counts": "study", "modality": "CT"}]}))
    half = len(slices) // 2

    send(hospital.orthanc, copy_of_study(slices, "study", NUMBER_OF_STUDY_RELATED_INSTANCES=len(slices)))
    assert final_flag(hospital, "study", len(slices))["completeness"] == "expected-count"

    # Its first series being full says nothing about the second.
    copies = [
        copy.with_values(
            SERIES_INSTANCE_UID=uid("series", number < 2),
            NUMBER_OF_SERIES_RELATED_INSTANCES=2 if number < 2 else len(slices) - 2)
        for number, copy in enumerate(copy_of_study(slices, "series"))]
    send(hospital.orthanc, copies)
    assert final_flag(hospital, "series", len(slices))["completeness"] == "series-count"

    copies = [
        copy.with_values(
            ACQUISITION_NUMBER=1 if number < half else 2,
            IMAGES_IN_ACQUISITION=half if number < half else len(slices) - half)
        for number, copy in enumerate(copy_of_study(slices, "acquisition"))]
    send(hospital.orthanc, copies)
    assert final_flag(hospital, "acquisition", len(slices))["completeness"] == "acquisition-count"

    private = {(0x00090011, "LO"): "GANTRY TEST", (0x00091142, "IS"): len(slices)}
    send(hospital.orthanc, [copy.with_elements(private) for copy in copy_of_study(slices, "private")])
    assert final_flag(hospital, "private", len(slices))["completeness"] == "expected-count"

    # None of these may have ended a study that counts nothing or was told too much.
    send(hospital.orthanc, copy_of_study(slices, "silent"))
    send(hospital.orthanc, copy_of_study(slices, "too-much", NUMBER_OF_STUDY_RELATED_INSTANCES=len(slices) + 1))
    for name in ("silent", "too-much"):
        scored(hospital, name, len(slices))
        assert [flag for flag in flags(hospital, name) if flag["state"] == "final"] == []


def test_counts_that_lie_cost_nothing(start, package, slices):
    hospital = ready(start.hospital(packages=[package], worker={"quiet_seconds": 1, "counted_quiet_seconds": 0.3}))
    send(hospital.orthanc, copy_of_study(slices, "too-much", NUMBER_OF_STUDY_RELATED_INSTANCES=1000))
    assert final_flag(hospital, "too-much", len(slices))["completeness"] == "quiet-period"
    send(hospital.orthanc, copy_of_study(slices, "too-little", NUMBER_OF_STUDY_RELATED_INSTANCES=3))
    assert final_flag(hospital, "too-little", len(slices))["completeness"] == "quiet-period"
    send(hospital.orthanc, copy_of_study(slices, "nonsense", NUMBER_OF_STUDY_RELATED_INSTANCES=-7, IMAGES_IN_ACQUISITION=0))
    assert final_flag(hospital, "nonsense", len(slices))["completeness"] == "quiet-period"


def test_a_preliminary_flag_is_there_before_the_last_slice(start, eager, slices):
    hospital = ready(start.hospital(packages=[eager], worker=QUIET))
    copies = copy_of_study(slices, "early", NUMBER_OF_STUDY_RELATED_INSTANCES=len(slices))
    # In bursts, as from a scanner that reconstructs some slices at a time; the last one is held back.
    send(hospital.orthanc, copies[:8])
    first = wait_until("a preliminary flag", lambda: flags(hospital, "early"), PATIENCE)[0]
    assert first["state"] == "preliminary" and first["instances"]["received"] < len(copies)
    assert "completeness" not in first
    row = next(row for row in hospital.orthanc.worklist() if row["study"] == uid("early"))
    assert row["state"] == "preliminary" and row["urgency"] == "critical"
    send(hospital.orthanc, copies[8:-1])
    scored(hospital, "early", len(copies) - 1)
    assert flags(hospital, "early")[0]["state"] == "preliminary"
    send(hospital.orthanc, copies[-1:])
    last = final_flag(hospital, "early", len(copies))
    assert last["flag"] == first["flag"] and last["revision"] > first["revision"]


def test_a_late_instance_revises_the_flag_and_its_report_names_the_one_before(start, eager, slices):
    hospital = ready(start.hospital(
        packages=[eager], worker={**QUIET, "results": "every", "resend_seconds": 1}))
    copies = copy_of_study(slices, "late", NUMBER_OF_STUDY_RELATED_INSTANCES=len(slices) - 1)
    send(hospital.orthanc, copies[:-1])
    first = final_flag(hospital, "late", len(slices) - 1)

    def reports(count):
        found = hospital.orthanc.study(uid("late"))
        stored = [entry["object"] for entry in found["results"]
                  if entry["kind"] == "report" and entry["state"] == "stored"]
        return stored if len(stored) == count else None

    old = wait_until("the first report", lambda: reports(1), PATIENCE)[0]
    # The study was revised at the modality: it is one more now.
    send(hospital.orthanc, [copies[-1].with_values(NUMBER_OF_STUDY_RELATED_INSTANCES=len(slices))])
    second = final_flag(hospital, "late", len(slices))
    assert second["flag"] == first["flag"] and second["revision"] > first["revision"]
    both = wait_until("the second report", lambda: reports(2), PATIENCE)
    new = next(report for report in both if report != old)
    found = hospital.orthanc.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": new}})
    tags = hospital.orthanc.get(f"/instances/{found[0]}/simplified-tags")
    named = [
        instance["ReferencedSOPInstanceUID"]
        for study in tags["PredecessorDocumentsSequence"]
        for series in study["ReferencedSeriesSequence"] for instance in series["ReferencedSOPSequence"]]
    assert named == [old]


def test_a_study_is_flagged_while_the_worker_trains(start, package, slices, tmp_path):
    hub = start.hub("--quorum", 1, "--deadline", 3600, "--minimum-labels", 4, "--epochs", 1000)
    hub.add_model(package)
    hub.start()
    hospital = start.hospital(hub=hub, worker={"held_out_share": 0, "epochs_most": 1000})
    hospital.start()
    hospital.approve(PATIENCE)
    wait_until("the worker has the hub's model", lambda: hospital.orthanc.live_version(), PATIENCE)
    studies = make_phantoms(tmp_path / "labelled", 8, seed=61)
    for study in studies:
        hospital.orthanc.send(study.files)
    found = hospital.wait_for_flags([study.uid for study in studies])
    for number, study in enumerate(studies):
        positive = found[study.uid][0]["findings"][0]["positive"]
        hospital.orthanc.review(study.uid, FINDING, "agree" if positive == (number % 2 == 0) else "disagree")

    def training():
        models = hospital.orthanc.get("/gantry/status")["models"]
        return models and models["training"]["state"] == "training" and models["training"].get("progress", 0) > 0

    wait_until("the worker trains", training, PATIENCE)
    # The threads that compute run only while nothing else wants a processor (SCHED_IDLE is 5, sched(7)).
    tasks = f"/proc/{hospital.worker.process.child.pid}/task"
    policies = run("/bin/sh", "-c", f"for task in {tasks}/*; do cut -d' ' -f41 $task/stat; done", check=False).split()
    assert "5" in policies and "0" in policies
    for number in range(3):
        send(hospital.orthanc, copy_of_study(slices, ("busy", number), NUMBER_OF_STUDY_RELATED_INSTANCES=len(slices)), 100)
        final_flag(hospital, ("busy", number), len(slices))
    assert training()
    assert hospital.orthanc.get("/gantry/status")["models"]["live"][0]["scoring"]["slices"] > 0
