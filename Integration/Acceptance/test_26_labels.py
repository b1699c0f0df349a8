# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels from the reading: reports and key object selections that arrive by C-STORE, FHIR resources, who has the last word."""

import json
import subprocess

import pytest

from harness.gantry import FINDING, GANTRY
from harness.processes import ROOT, run, wait_until

DOCUMENTS = ROOT / "Integration" / "harness" / "make_documents.py"


@pytest.fixture
def codes(tmp_path):
    file = tmp_path / "codes.json"
    file.write_text(json.dumps({
        "key_objects": [{"scheme": "DCM", "value": "113008", "meaning": "For Peer Review", "finding": FINDING,
                         "present": True}],
        "codes": [{"scheme": "http://hospital.example/codes", "value": "ICH", "finding": FINDING}],
    }))
    return file


@pytest.fixture
def hospital(start, package, codes):
    return start.hospital(packages=[package], worker={"label_codes": str(codes), "resend_seconds": 1},
                          users={"Dr. One": "radiologist"}).start()


@pytest.fixture
def write(readers, tmp_path):
    """Writes a document of the department and gives its file."""
    count = 0

    def write(kind, *arguments):
        nonlocal count
        count += 1
        file = tmp_path / f"document-{count}.dcm"
        run(readers, DOCUMENTS, kind, file, *arguments)
        return file

    return write


def statements(hospital, study):
    """What the study's flag says that people said: (source, present, current, withdrawn), oldest first."""
    found = hospital.orthanc.study(study.uid)
    flags = found["flags"] if found else []
    return [(s["source"], s["present"], s["current"], s["withdrawn"])
            for flag in flags for s in flag["findings"][0].get("statements") or []]


def wait_for_statements(hospital, study, expected):
    wait_until(f"{expected} on the flag", lambda: statements(hospital, study) == expected, 240)


def outcome(hospital, name):
    return hospital.orthanc.get("/gantry/status")["outcomes"].get(name, 0)


def documents(hospital):
    models = hospital.orthanc.get("/gantry/status")["models"]
    return models["documents"] if models else None


def labels_import(hospital, *arguments):
    return subprocess.run(
        [GANTRY, "labels", "import", *arguments, "--state", hospital.worker.state], capture_output=True, text=True,
        timeout=300)


def test_the_latest_authoritative_statement_wins_and_the_flag_tells_them_all(hospital, phantoms, write):
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    flag = hospital.wait_for_flags([study.uid])[study.uid][0]
    hospital.orthanc.review(study.uid, FINDING, "agree" if flag["findings"][0]["positive"] else "disagree", "Dr. One")
    wait_for_statements(hospital, study, [("review", True, True, False)])

    signed = write("report", "ABSENT", "VERIFIED", "-", *study.files)
    draft = write("report", "PRESENT", "UNVERIFIED", "-", *study.files)
    hospital.orthanc.send([signed, draft])
    wait_for_statements(hospital, study, [
        ("review", True, False, False), ("report", False, True, False), ("report", True, False, False)])
    # A repeat is no second statement.
    hospital.orthanc.send([signed])
    hospital.orthanc.send([write("key-objects", "DCM", "113008", "For Peer Review", *study.files)])
    wait_for_statements(hospital, study, [
        ("review", True, False, False), ("report", False, False, False), ("report", True, False, False),
        ("key-objects", True, True, False)])
    # A revised report takes the place of the one before.
    hospital.orthanc.send([write("report", "PRESENT", "VERIFIED", signed, *study.files)])
    wait_for_statements(hospital, study, [
        ("review", True, False, False), ("report", False, False, True), ("report", True, False, False),
        ("key-objects", True, False, False), ("report", True, True, False)])

    wait_until("the documents are counted", lambda: outcome(hospital, "labelled") >= 4)
    now = hospital.orthanc.final_flags(study.uid)[0]
    assert now["revision"] > flag["revision"]
    assert now["instances"] == flag["instances"] and now["decided_at_ms"] == flag["decided_at_ms"]
    assert [s["reader"] for s in now["findings"][0]["statements"]] == ["Dr. One"] + 4 * ["Reader^Rita"]
    assert len(hospital.orthanc.worklist()) == 1


def test_a_rejected_study_is_not_learned_from(hospital, phantoms, write):
    study = phantoms[1]
    hospital.orthanc.send(study.files)
    flag = hospital.wait_for_flags([study.uid])[study.uid][0]
    hospital.orthanc.review(study.uid, FINDING, "agree" if flag["findings"][0]["positive"] else "disagree", "Dr. One")

    def labelled():
        live = (hospital.orthanc.get("/gantry/status")["models"] or {}).get("live")
        return live[0]["labels"]["training"] + live[0]["labels"]["held_out"] if live else None

    wait_until("the study is a label", lambda: labelled() == 1)
    hospital.orthanc.send([write("key-objects", "DCM", "113001", "Rejected for Quality Reasons", *study.files)])
    wait_until("nothing is learned from it", lambda: labelled() == 0)
    wait_until("the status counts it", lambda: documents(hospital)["rejected_studies"] == 1)


def test_documents_wait_for_their_study_and_none_is_lost_or_doubled_when_the_worker_is_killed(
        hospital, phantoms, write):
    early, late = phantoms[2], phantoms[3]
    files = [write("report", "PRESENT", "VERIFIED", "-", *early.files)]
    hospital.orthanc.send(files)
    wait_until("the report waits", lambda: (documents(hospital) or {}).get("waiting") == 1)
    hospital.worker.kill()
    hospital.orthanc.send(early.files)
    hospital.worker.start()
    wait_for_statements(hospital, early, [("report", True, True, False)])

    hospital.orthanc.send(late.files)
    hospital.wait_for_flags([late.uid])
    many = [write("report", "ABSENT", "VERIFIED", "-", *late.files) for _ in range(4)]
    for file in many:
        hospital.orthanc.send([file])
        hospital.worker.kill()
        hospital.worker.start()
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)
    wait_until("all are on the flag", lambda: len(statements(hospital, late)) == 4, 240)
    assert [s[2] for s in statements(hospital, late)].count(True) == 1
    rows = hospital.worker.rows("SELECT document, COUNT(*) AS n FROM label GROUP BY document, study_instance_uid")
    assert len(rows) == 5 and all(row["n"] == 1 for row in rows)
    # Documents are no part of a study: nothing was reopened by them.
    assert hospital.orthanc.final_flags(late.uid)[0]["instances"]["received"] == len(late.files)


def test_fhir_resources_are_labels_whether_the_worker_runs_or_not(hospital, phantoms, codes, tmp_path):
    first, second = phantoms[0], phantoms[1]
    for study in (first, second):
        hospital.orthanc.send(study.files)
    hospital.wait_for_flags([first.uid, second.uid])
    folder = tmp_path / "fhir"
    (folder / "more").mkdir(parents=True)
    snomed = {"coding": [{"system": "http://snomed.info/sct", "code": "1386000"}]}
    local = {"coding": [{"system": "http://hospital.example/codes", "code": "ICH"}]}
    imaging = [{"resourceType": "ImagingStudy", "id": f"s{i}",
                "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study.uid}"}]}
               for i, study in enumerate((first, second))]
    report = {"resourceType": "DiagnosticReport", "id": "r1", "status": "final", "issued": "2026-01-02T03:04:05Z",
              "imagingStudy": [{"reference": "ImagingStudy/s0"}], "conclusionCode": [snomed],
              "resultsInterpreter": [{"display": "Dr. Two"}]}
    (folder / "bundle.json").write_text(json.dumps(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in imaging + [report]]}))
    observation = {"resourceType": "Observation", "id": "o1", "status": "final", "code": local, "valueBoolean": False,
                   "effectiveDateTime": "2026-01-02", "derivedFrom": [{"reference": "ImagingStudy/s1"}]}
    lines = [observation, {**observation, "id": "o2", "status": "preliminary"}, {"resourceType": "Patient", "id": "p"},
             {**observation, "id": "o3", "derivedFrom": [{"identifier": {"system": "urn:dicom:uid", "value": "1.2.3"}}]}]
    (folder / "more" / "observations.ndjson").write_text("\n".join(map(json.dumps, lines)) + "\n{broken\n")

    done = labels_import(hospital, folder, "--codes", codes)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "4 reports and observations read, 2 accepted, 0 withdrawn, 1 not final yet" in done.stdout
    assert "refused, more/observations.ndjson, line 5" in done.stdout
    assert "Observation/o3: its study is not known to this worker" in done.stdout
    wait_for_statements(hospital, first, [("fhir", True, True, False)])
    wait_for_statements(hospital, second, [("fhir", False, True, False)])

    # While the worker is away: amended, and entered in error. Again: nothing.
    hospital.worker.stop()
    (folder / "bundle.json").write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in [
        imaging[0], {**report, "status": "entered-in-error"}]]}))
    (folder / "more" / "observations.ndjson").write_text("\n".join(map(json.dumps, [
        imaging[1], {**observation, "status": "corrected", "valueBoolean": True, "issued": "2026-01-03T00:00:00Z"}])))
    for _ in range(2):
        done = labels_import(hospital, folder, "--codes", codes)
        assert done.returncode == 0, done.stdout + done.stderr
    hospital.worker.start()
    wait_for_statements(hospital, first, [("fhir", True, False, True)])
    wait_for_statements(hospital, second, [("fhir", False, False, True), ("fhir", True, True, False)])


def test_a_code_map_that_cannot_be_used_is_named(hospital, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{"codes": [{"scheme": "SCT", "value": "1"}]}')
    (tmp_path / "r.json").write_text("{}")
    done = labels_import(hospital, tmp_path / "r.json", "--codes", file)
    assert done.returncode != 0
    assert "bad.json" in done.stderr and "codes, entry 1" in done.stderr
