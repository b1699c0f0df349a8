# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags as DICOM objects in the archive: what standard tools and libraries make of them, and that there is one of each."""

import json
import subprocess
import urllib.request

import pytest

from harness.gantry import Study
from harness.processes import SHARED_DATA, run, wait_until
from harness.prometheus import read


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
        and results(hospital, study), 240)


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
    done = subprocess.run(["/usr/bin/dciodvfy", file], capture_output=True, text=True, errors="replace")
    said = done.stdout + done.stderr
    assert said.strip(), "dciodvfy names at least the kind of object"
    assert "Error" not in said, said


CHARACTER_SETS = {
    "latin-1": ("ISO_IR 100", "Müller^Jürgen"),
    "greek": ("ISO_IR 126", "Διονυσιος"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "utf-8": ("ISO_IR 192", "Müller^Jürgen=山田^太郎"),
}


def test_names_in_every_character_set_are_taken_over_as_they_are(hospital, phantoms, readers, tmp_path):
    """One small study for each character set, written by pydicom, and what pydicom reads in the objects about it."""
    studies = json.loads(run(readers, "-c", """
import json, sys, pydicom
from pydicom.uid import generate_uid
studies = {}
for name, (characters, patient) in json.loads(sys.argv[1]).items():
    for path in sys.argv[3:]:
        image = pydicom.dcmread(path)
        image.SpecificCharacterSet = characters
        image.PatientName = patient
        image.PatientID = "id-" + name
        for tag in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            setattr(image, tag, generate_uid(entropy_srcs=[name, str(image[tag].value)]))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        file = f"{sys.argv[2]}/{name}-{len(studies.get(name, []))}.dcm"
        image.save_as(file)
        studies.setdefault(name, []).append([str(image.StudyInstanceUID), file])
print(json.dumps(studies))
""", json.dumps(CHARACTER_SETS), tmp_path, *phantoms[0].files[:3]).splitlines()[-1])
    hospital.orthanc.send([file for files in studies.values() for _, file in files])
    pairs = []
    for name, files in studies.items():
        made = wait_for_results(hospital, Study(files[0][0], [file for _, file in files], True))
        for kind, uids in made.items():
            object_file = download(hospital, uids[0], tmp_path / f"{name}-{kind}.dcm")
            assert_valid(object_file)
            pairs.append([files[0][1], str(object_file)])
        dumped = subprocess.run(
            ["/usr/bin/dsrdump", tmp_path / f"{name}-report.dcm"], capture_output=True, text=True, errors="replace")
        assert dumped.returncode == 0 and "not for diagnosis" in dumped.stdout
    differences = json.loads(run(readers, "-c", """
import json, sys, pydicom
found = []
for original, made in json.loads(sys.argv[1]):
    original, made = pydicom.dcmread(original), pydicom.dcmread(made)
    for keyword in ("PatientName", "PatientID", "SpecificCharacterSet"):
        if original.get(keyword) != made.get(keyword):
            found.append([keyword, str(original.get(keyword)), str(made.get(keyword))])
    if made.PatientName.original_string != original.PatientName.original_string:
        found.append(["bytes", str(original.PatientName.original_string), str(made.PatientName.original_string)])
print(json.dumps(found))
""", json.dumps(pairs)).splitlines()[-1])
    assert differences == [] and len(pairs) == 2 * len(CHARACTER_SETS)


@pytest.mark.skipif(not (SHARED_DATA / "head_ct").is_dir(), reason=f"{SHARED_DATA / 'head_ct'} is not there")
def test_objects_about_a_real_poor_study_are_valid(hospital, tmp_path):
    files = sorted((SHARED_DATA / "head_ct").glob("*.dcm"))[:6]
    study = Study(element(files[1], "0020,000d")[0], files, True)
    files = [file for file in files if element(file, "0020,000d")[0] == study.uid]
    assert len(files) >= 3
    hospital.orthanc.send(files)
    made = wait_for_results(hospital, study)
    for kind, uids in made.items():
        assert_valid(download(hospital, uids[0], tmp_path / f"{kind}.dcm"))


def test_a_key_object_selection_names_the_slices_that_tell_and_the_key_image(
        start, package, phantoms, readers, tmp_path):
    hospital = start.hospital(packages=[package], worker={
        "results": "every", "resend_seconds": 1, "key_objects": True, "key_object_title": "113008"}).start()
    study = next(study for study in phantoms if study.present)
    hospital.orthanc.send(study.files)
    made = wait_until("three objects", lambda: (
        len(results(hospital, study)) == 3 and results(hospital, study)), 240)
    selection = download(hospital, made["key-objects"][0], tmp_path / "selection.dcm")
    assert_valid(selection)
    assert "For Peer Review" in run("/usr/bin/dsrdump", "+Pc", selection)
    parsed = json.loads(run(readers, "-c", """
import json, sys, pydicom
from highdicom.ko import KeyObjectSelectionDocument
document = KeyObjectSelectionDocument.from_dataset(pydicom.dcmread(sys.argv[1]))
print(json.dumps([str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
                  for item in document.content.get_references()]))
""", selection).splitlines()[-1])
    evidence = {slice["sop_instance"] for slice in hospital.orthanc.final_flags(study.uid)[0]["findings"][0]["evidence"]}
    assert set(parsed) == evidence | {made["key-image"][0]}
    # A selection by Gantry is its own object, whatever its title: no label and no part of the study.
    wait_until("all three are known", lambda: (
        hospital.orthanc.get("/gantry/status")["outcomes"].get("own-result") == 3), 240)
    assert hospital.worker.rows("SELECT count(*) AS n FROM label") == [{"n": 0}]


def lose(process, database):
    """Kills a process and deletes its database."""
    process.kill()
    for file in database.parent.glob(database.name + "*"):
        file.unlink()


def test_results_survive_the_loss_of_either_database(hospital, phantoms, tmp_path):
    study = phantoms[1]
    hospital.orthanc.send(study.files[:-1])
    first = wait_for_results(hospital, study)
    lose(hospital.orthanc, hospital.orthanc.folder / "gantry" / "gateway.sqlite")
    hospital.orthanc.start()
    assert wait_for_results(hospital, study) == first
    lose(hospital.worker, hospital.worker.state / "worker.sqlite")
    hospital.worker.start()
    wait_until("a model is live again", hospital.orthanc.live_version, 240)
    # All of the study goes to a worker that knows nothing of it; its report names the one that the gateway has.
    hospital.orthanc.send(study.files[-1:])
    both = wait_for_results(hospital, study, each=2)
    new = next(uid for uid in both["report"] if uid not in first["report"])
    assert f"[{first['report'][0]}]" in dump("+P", "0040,a360", download(hospital, new, tmp_path / "report.dcm"))
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)
    assert hospital.orthanc.instances() == len(study.files) + 4
    assert len(hospital.orthanc.worklist()) == 1


def test_a_result_that_was_acknowledged_and_never_stored_is_given_back(hospital, phantoms):
    study = phantoms[3]
    hospital.orthanc.send(study.files)
    first = wait_for_results(hospital, study)
    # As after a power failure between the gateway's commit and the archive's: neither has the objects.
    for uid in first["report"] + first["key-image"]:
        found = hospital.orthanc.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": uid}})
        urllib.request.urlopen(urllib.request.Request(
            f"{hospital.orthanc.url}/instances/{found[0]}", method="DELETE"), timeout=30).close()
    lose(hospital.orthanc, hospital.orthanc.folder / "gantry" / "gateway.sqlite")
    hospital.orthanc.start()
    assert wait_for_results(hospital, study) == first
    assert hospital.orthanc.instances() == len(study.files) + 2


def test_what_cannot_be_told_is_in_the_status_with_its_reason(start, package, phantoms):
    hospital = start.hospital(
        packages=[package], worker={"results": "every", "resend_seconds": 1, "quiet_seconds": 3600}).start()
    study = phantoms[2]
    hospital.orthanc.send(study.files)
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)
    # The archive loses every image before the study is complete.
    hospital.worker.kill()
    for instance in hospital.orthanc.get("/instances"):
        urllib.request.urlopen(urllib.request.Request(
            f"{hospital.orthanc.url}/instances/{instance}", method="DELETE"), timeout=30).close()
    file = hospital.worker.folder / "worker.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quiet_seconds": 1}))
    hospital.worker.start()
    hospital.wait_for_flags([study.uid], 240)
    told = wait_until("the failure is told", lambda: (
        (hospital.orthanc.get("/gantry/status")["models"] or {}).get("results", {}).get("failed")), 240)
    assert told == {"gone": 1}

    def metrics():
        with urllib.request.urlopen(hospital.orthanc.url + "/gantry/metrics", timeout=30) as answer:
            return read(answer.read().decode())

    wait_until("it is counted", lambda: metrics().get('gantry_result_failures{reason="gone"}') == 1, 240)


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

    parsed = json.loads(run(readers, "-c", """
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
    assert parsed["template"] == "1500"
    assert [group["tracking"] for group in parsed["groups"]] == [finding["finding"]]
    group = parsed["groups"][0]
    assert group["values"]["Certainty of Finding"] == pytest.approx(100 * finding["probability"], abs=0.006)
    assert group["values"]["Operating threshold"] == pytest.approx(100 * finding["threshold"], abs=0.006)
    assert group["sources"] == [slice["sop_instance"] for slice in finding["evidence"]]
    assert parsed["shape"][2] == 3 and parsed["shape"][1] >= 512 and parsed["bright"] == 255


def test_there_is_one_report_whatever_is_killed_and_sent_again(hospital, phantoms):
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    made = wait_for_results(hospital, study)
    stored = hospital.orthanc.instances()
    assert stored == len(study.files) + 2
    # Gantry's own objects were handed over like any other and are neither scored nor part of the study.
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)
    wait_until("own results are known", lambda: hospital.orthanc.get("/gantry/status")["outcomes"].get("own-result") == 2, 240)
    flag = hospital.orthanc.final_flags(study.uid)[0]
    assert flag["instances"]["received"] == len(study.files)

    hospital.worker.kill()
    hospital.orthanc.kill()
    hospital.orthanc.start()
    hospital.worker.start()
    hospital.orthanc.send(study.files)
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)
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
    # The study has both, the worklist one row.
    rows = [row for row in hospital.orthanc.worklist() if row["study"] == study.uid]
    assert len(rows) == 1 and rows[0]["instances"]["received"] == len(study.files)
    assert len(hospital.orthanc.study(study.uid)["flags"]) == 1


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
    wait_until("both are known", lambda: other.orthanc.get("/gantry/status")["outcomes"].get("own-result") == 2, 240)
    assert other.orthanc.worklist() == []
    assert other.orthanc.instances() == 2
