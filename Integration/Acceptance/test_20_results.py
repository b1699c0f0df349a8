# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags as DICOM objects in the archive: what standard tools and libraries make of them, and that there is one of each."""

import json
import subprocess
import sys
import urllib.request

import pytest

from harness.processes import ROOT, run, wait_until


@pytest.fixture(scope="module")
def readers():
    """A Python with the PyPI packages that read DICOM reports, in a throw-away environment under .build."""
    folder = ROOT / ".build" / "highdicom"
    python = folder / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    run(python, "-m", "pip", "install", "--quiet", "highdicom==0.28.2", "pydicom==3.0.2")
    return python


@pytest.fixture
def hospital(start, package):
    return start.hospital(packages=[package], worker={"results": "every", "resend_seconds": 1}).start()


def results(hospital, study):
    """The study's objects that the archive has, by kind: lists of SOPInstanceUIDs."""
    found = hospital.orthanc.study(study.uid)
    by_kind = {}
    for entry in (found or {}).get("results", []):
        if entry["state"] == "stored":
            by_kind.setdefault(entry["kind"], []).append(entry["object"])
    return by_kind


def wait_for_results(hospital, study, each=1):
    return wait_until(
        f"{each} report and key image of {study.uid}",
        lambda: all(len(results(hospital, study).get(kind, [])) == each for kind in ("report", "key-image"))
        and results(hospital, study), 90)


def download(hospital, sop_instance_uid, path):
    """Writes an object of the archive to `path`, as any viewer would get it."""
    found = hospital.orthanc.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}})
    assert len(found) == 1, f"{sop_instance_uid} is {len(found)} times in the archive"
    with urllib.request.urlopen(f"{hospital.orthanc.url}/instances/{found[0]}/file", timeout=30) as answer:
        path.write_bytes(answer.read())
    return path


def dump(*arguments):
    return run("/usr/bin/dcmdump", "-q", *arguments)


def element(file, tag):
    """The values of all elements with this tag, in the order of the file."""
    return [line.split("[", 1)[1].rsplit("]", 1)[0] for line in dump("+P", tag, file).splitlines() if "[" in line]


def assert_valid(file):
    done = subprocess.run(["/usr/bin/dciodvfy", file], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert said.strip(), "dciodvfy names at least the kind of object"
    assert "Error" not in said, said


def test_report_and_key_image_are_read_by_dicom_tools_and_python_libraries(hospital, phantoms, readers, tmp_path):
    study = next(study for study in phantoms if study.present)
    hospital.orthanc.send(study.files)
    made = wait_for_results(hospital, study)
    report = download(hospital, made["report"][0], tmp_path / "report.dcm")
    key_image = download(hospital, made["key-image"][0], tmp_path / "key-image.dcm")
    flag = hospital.orthanc.final_flags(study.uid)[0]
    finding = flag["findings"][0]

    for file in (report, key_image):
        assert_valid(file)
        for tag in ("0010,0010", "0010,0020", "0010,0030", "0008,0005", "0020,000d", "0008,0050", "0008,0020"):
            assert element(file, tag)[:1] == element(study.files[0], tag)[:1], f"{tag} of {file.name}"
        assert element(file, "0020,000e")[0] not in element(study.files[0], "0020,000e")
    assert element(key_image, "0028,0301") == ["YES"]

    text = run("/usr/bin/dsrdump", "+Pl", "+Pc", report)
    for expected in ("Imaging Measurement Report", flag["model"]["version"], flag["model"]["package"],
                     finding["title"], "AI result - not for diagnosis"):
        assert expected in text
    # 0040,a375: every instance that was scored, and nothing else, as evidence.
    sent = {element(file, "0008,0018")[0] for file in study.files}
    evidence = dump("+P", "0040,a375", report)
    assert all(f"[{uid}]" in evidence for uid in sent)

    read = json.loads(run(readers, "-c", """
import json, sys, pydicom
from highdicom.sr import srread
report = srread(sys.argv[1])
groups = report.content.get_image_measurement_groups()
image = pydicom.dcmread(sys.argv[2])
print(json.dumps({
    "template": report.ContentTemplateSequence[0].TemplateIdentifier,
    "groups": [{
        "finding": group.finding_type.meaning, "tracking": group.tracking_identifier,
        "values": {str(m.name.meaning): m.value for m in group.get_measurements()},
        "sources": [str(source.referenced_sop_instance_uid) for source in group.source_images],
    } for group in groups],
    "shape": list(image.pixel_array.shape), "bright": int(image.pixel_array.max()),
}))
""", report, key_image).splitlines()[-1])
    assert read["template"] == "1500"
    assert [group["tracking"] for group in read["groups"]] == [finding["finding"]]
    group = read["groups"][0]
    assert group["values"]["Certainty of Finding"] == pytest.approx(100 * finding["probability"], abs=0.006)
    assert group["values"]["Operating threshold"] == pytest.approx(100 * finding["threshold"], abs=0.006)
    assert group["sources"] == [slice["sop_instance"] for slice in finding["evidence"]]
    assert read["shape"][2] == 3 and read["shape"][1] >= 512 and read["bright"] == 255


def test_there_is_one_report_whatever_is_killed_and_sent_again(hospital, phantoms):
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    made = wait_for_results(hospital, study)
    stored = hospital.orthanc.instances()
    assert stored == len(study.files) + 2
    # Gantry's own objects were handed over like any other and are neither scored nor part of the study.
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 60)
    wait_until("own results are known", lambda: hospital.orthanc.get("/gantry/status")["outcomes"].get("own-result") == 2)
    flag = hospital.orthanc.final_flags(study.uid)[0]
    assert flag["instances"]["received"] == len(study.files)

    hospital.worker.kill()
    hospital.orthanc.kill()
    hospital.orthanc.start()
    hospital.worker.start()
    hospital.orthanc.send(study.files)
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 60)
    other = phantoms[1]
    hospital.orthanc.send(other.files)
    wait_for_results(hospital, other)
    assert results(hospital, study) == made
    assert hospital.orthanc.instances() == stored + len(other.files) + 2
    assert len(hospital.orthanc.study(study.uid)["flags"]) == 1
    assert hospital.orthanc.final_flags(study.uid)[0]["instances"]["received"] == len(study.files)


def test_a_late_instance_gives_a_report_that_names_the_one_before(hospital, phantoms, tmp_path):
    study = phantoms[2]
    hospital.orthanc.send(study.files[:-1])
    first = wait_for_results(hospital, study)
    hospital.orthanc.send(study.files[-1:])
    both = wait_for_results(hospital, study, each=2)
    new = next(uid for uid in both["report"] if uid not in first["report"])
    report = download(hospital, new, tmp_path / "report.dcm")
    assert_valid(report)
    assert f"[{first['report'][0]}]" in dump("+P", "0040,a360", report)


def test_reports_made_while_the_gateway_was_away_arrive_when_it_is_back(hospital, phantoms):
    study = phantoms[3]
    hospital.orthanc.send(study.files)
    hospital.wait_for_flags([study.uid])
    hospital.orthanc.kill()
    hospital.orthanc.start()
    wait_for_results(hospital, study)


def test_another_gateway_that_gets_the_objects_does_not_score_them(hospital, start, package, phantoms, tmp_path):
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    made = wait_for_results(hospital, study)
    files = [download(hospital, uid, tmp_path / f"{uid}.dcm") for uids in made.values() for uid in uids]
    other = start.hospital("other", packages=[package], worker={"results": "every"}).start()
    other.orthanc.send(files)
    wait_until("both are known", lambda: other.orthanc.get("/gantry/status")["outcomes"].get("own-result") == 2, 60)
    assert other.orthanc.worklist() == []
    assert other.orthanc.instances() == 2
