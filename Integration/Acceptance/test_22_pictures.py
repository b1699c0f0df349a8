# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that say why: heat maps in key images, computed from the model, and DICOM Segmentations of mask packages."""

import json
import shutil
import subprocess
import sys
import urllib.request

import pytest

from harness.gantry import GANTRY, make_phantoms
from harness.processes import ROOT, run, wait_until

BLOOD = ROOT / "Tests" / "TorchTests" / "Fixtures" / "masks.ts"


@pytest.fixture(scope="module")
def readers():
    """A Python with the PyPI packages that read segmentations, in a throw-away environment under .build."""
    folder = ROOT / ".build" / "highdicom"
    python = folder / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    run(python, "-m", "pip", "install", "--quiet", "highdicom==0.28.2", "pydicom==3.0.2")
    return python


def changed(package, out, change):
    """A copy of a package whose manifest `change` has changed."""
    shutil.copytree(package, out)
    file = out / "configs" / "gantry.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))
    run(GANTRY, "model", "check", out)
    return out


@pytest.fixture(scope="module")
def blood(tmp_path_factory):
    """A segmentation package that sees fresh blood, exported by PyTorch."""
    out = tmp_path_factory.mktemp("blood") / "package"
    (out / "models").mkdir(parents=True)
    (out / "configs").mkdir()
    shutil.copy(BLOOD, out / "models" / "model.ts")
    (out / "configs" / "gantry.json").write_text(json.dumps({
        "gantry": 1, "name": "blood", "title": "Blood on head CT", "intended_use": "For tests; not a diagnosis.",
        "takes": {"modalities": ["CT"], "body_parts": ["HEAD"]},
        "preprocessing": {"height": 128, "width": 128, "channels": [
            {"window": {"center": 65, "width": 50}}, {"window": {"center": 130, "width": 80}}]},
        "findings": [{
            "name": "intracranial-haemorrhage", "title": "Intracranial haemorrhage", "threshold": 0.5, "urgency": "critical",
            "code": {"scheme": "SCT", "value": "1386000", "meaning": "Intracranial hemorrhage"}}],
        "masks": {"minimum_pixels": 8},
    }))
    run(GANTRY, "model", "prepare", out)
    said = run(GANTRY, "model", "check", out)
    assert "by its masks, 64 × 64 places" in said and "not trained" in said
    assert "masks" in run(GANTRY, "model", "inspect", out)
    return out


def stored(hospital, study, *kinds):
    """SOPInstanceUIDs of the study's objects by kind, once the archive has one of each."""
    def found():
        results = (hospital.orthanc.study(study.uid) or {}).get("results", [])
        by_kind = {entry["kind"]: entry["object"] for entry in results if entry["state"] == "stored"}
        return all(kind in by_kind for kind in kinds) and by_kind
    return wait_until(f"{', '.join(kinds)} of {study.uid}", found, 240)


def download(hospital, sop_instance_uid, path):
    found = hospital.orthanc.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}})
    assert len(found) == 1, f"{sop_instance_uid} is {len(found)} times in the archive"
    with urllib.request.urlopen(f"{hospital.orthanc.url}/instances/{found[0]}/file", timeout=30) as answer:
        path.write_bytes(answer.read())
    return path


def assert_valid(file):
    done = subprocess.run(["/usr/bin/dciodvfy", file], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert said.strip(), "dciodvfy names at least the kind of object"
    assert "Error" not in said, said


def colour(readers, file):
    """Whether the picture part of a key image is coloured, and what its derivation says."""
    return json.loads(run(readers, "-c", """
import json, sys, pydicom
image = pydicom.dcmread(sys.argv[1])
picture = image.pixel_array[:512].astype(int)
print(json.dumps({"derivation": image.DerivationDescription,
                  "coloured": int((picture[..., 0] - picture[..., 2] > 20).sum())}))
""", file).splitlines()[-1])


@pytest.mark.parametrize("layer, method", [("stage2", "Grad-CAM of stage2"), (None, "occlusion")])
def test_the_key_image_shows_where_the_answer_comes_from(start, package, phantoms, readers, tmp_path, layer, method):
    def explain(manifest):
        manifest.pop("explanation")
        if layer:
            manifest["explanation"] = {"layer": layer}
    explained = changed(package, tmp_path / "package", explain)
    hospital = start.hospital(packages=[explained], worker={"results": "every", "resend_seconds": 1}).start()
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    made = stored(hospital, study, "report", "key-image")
    file = download(hospital, made["key-image"], tmp_path / "key-image.dcm")
    assert_valid(file)
    seen = colour(readers, file)
    assert method in seen["derivation"]
    assert seen["coloured"] > 100


def test_a_layer_that_is_not_there_is_found_by_the_check(package, tmp_path):
    with pytest.raises(Exception, match="no layer"):
        changed(package, tmp_path / "package", lambda manifest: manifest.update(explanation={"layer": "features.last"}))


def test_a_mask_package_flags_and_segments(start, blood, readers, tmp_path):
    hospital = start.hospital(packages=[blood], worker={"results": "flagged", "resend_seconds": 1}).start()
    studies = make_phantoms(tmp_path / "bleeds", studies=4, seed=5, slices=12, prevalence=1)
    for study in studies:
        hospital.orthanc.send(study.files)
    flags = hospital.wait_for_flags([study.uid for study in studies])
    # A bleed along the skull is too thin for these masks.
    study = next(study for study in studies if flags[study.uid][0]["findings"][0]["positive"])
    flag = flags[study.uid][0]
    made = stored(hospital, study, "report", "key-image", "segmentation")
    assert "its mask" in colour(readers, download(hospital, made["key-image"], tmp_path / "key-image.dcm"))["derivation"]

    segmentation = download(hospital, made["segmentation"], tmp_path / "segmentation.dcm")
    assert_valid(segmentation)
    read = json.loads(run(readers, "-c", """
import json, sys, numpy, pydicom, highdicom
segmentation = highdicom.seg.segread(sys.argv[1])
sources = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, sys.argv[2:])}
first = next(iter(sources.values()))
segment = segmentation.get_segment_description(1)
frames = []
pixels = pydicom.dcmread(sys.argv[1]).pixel_array.reshape(-1, first.Rows, first.Columns)
for mask, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence):
    uid = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    source = sources[uid]
    values = source.pixel_array * float(source.RescaleSlope) + float(source.RescaleIntercept)
    frames.append({
        "source": uid, "pixels": int(mask.sum()), "median": float(numpy.median(values[mask > 0])),
        "place": [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
                 == [float(v) for v in source.ImagePositionPatient]})
print(json.dumps({
    "segments": segmentation.number_of_segments, "type": segmentation.SegmentationType,
    "label": segment.segment_label, "algorithm": segment.algorithm_type.value, "code": segment.segmented_property_type.value,
    "study": segmentation.StudyInstanceUID == first.StudyInstanceUID,
    "frame of reference": segmentation.FrameOfReferenceUID == first.FrameOfReferenceUID, "frames": frames,
}))
""", segmentation, *study.files).splitlines()[-1])
    assert read["segments"] == 1 and read["type"] == "BINARY" and read["algorithm"] == "AUTOMATIC"
    assert read["code"] == "1386000" and read["label"] == "Intracranial haemorrhage"
    assert read["study"] and read["frame of reference"]
    assert 1 <= len(read["frames"]) <= len(study.files)
    assert len({frame["source"] for frame in read["frames"]}) == len(read["frames"])
    for frame in read["frames"]:
        # Fresh blood, in HU; brain has some 35, bone hundreds.
        assert frame["pixels"] > 0 and frame["place"] and 50 < frame["median"] < 95, frame
    assert flag["findings"][0]["evidence"][0]["sop_instance"] in {frame["source"] for frame in read["frames"]}

    # They are Gantry's own: handed over like any other object, and neither scored nor part of the study.
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 240)
    wait_until("own results are known",
               lambda: hospital.orthanc.get("/gantry/status")["outcomes"].get("own-result", 0) >= 3, 240)
    assert hospital.orthanc.final_flags(study.uid)[0]["instances"]["received"] == len(study.files)


def test_a_segmentation_of_a_multi_frame_image_names_the_frames(start, blood, readers, tmp_path):
    """Each study as one enhanced image, as newer scanners send it."""
    hospital = start.hospital(packages=[blood], worker={"results": "flagged", "resend_seconds": 1}).start()
    studies = make_phantoms(tmp_path / "bleeds", studies=4, seed=5, slices=12, prevalence=1)
    for study in studies:
        image = tmp_path / f"{study.uid}.dcm"
        run(readers, "-c", """
import sys, pydicom, highdicom
highdicom.legacy.LegacyConvertedEnhancedCTImage(
    [pydicom.dcmread(file) for file in sys.argv[2:]], series_instance_uid=highdicom.UID(), series_number=1,
    sop_instance_uid=highdicom.UID(), instance_number=1).save_as(sys.argv[1])
""", image, *study.files)
        study.files = [image]
        hospital.orthanc.send(study.files)
    flags = hospital.wait_for_flags([study.uid for study in studies], 240)
    study = next(study for study in studies if flags[study.uid][0]["findings"][0]["positive"])
    evidence = flags[study.uid][0]["findings"][0]["evidence"]
    segmentation = download(hospital, stored(hospital, study, "segmentation")["segmentation"], tmp_path / "segmentation.dcm")
    assert_valid(segmentation)
    read = json.loads(run(readers, "-c", """
import json, sys, numpy, pydicom, highdicom
segmentation = highdicom.seg.segread(sys.argv[1])
source = pydicom.dcmread(sys.argv[2])
shared = source.SharedFunctionalGroupsSequence[0]
frames = []
pixels = segmentation.pixel_array.reshape(-1, source.Rows, source.Columns)
for mask, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence):
    named = groups.DerivationImageSequence[0].SourceImageSequence[0]
    number = int(named.ReferencedFrameNumber)
    own = source.PerFrameFunctionalGroupsSequence[number - 1]
    change = (own if "PixelValueTransformationSequence" in own else shared).PixelValueTransformationSequence[0]
    values = source.pixel_array[number - 1] * float(change.RescaleSlope) + float(change.RescaleIntercept)
    frames.append({
        "source": named.ReferencedSOPInstanceUID == source.SOPInstanceUID, "number": number,
        "median": float(numpy.median(values[mask > 0])),
        "place": [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
                 == [float(v) for v in own.PlanePositionSequence[0].ImagePositionPatient]})
print(json.dumps({"frames": frames, "sources": len(segmentation.get_source_image_uids())}))
""", segmentation, *study.files).splitlines()[-1])
    assert read["sources"] == 1
    assert len({frame["number"] for frame in read["frames"]}) == len(read["frames"]) >= 1
    assert evidence[0]["frame"] + 1 in {frame["number"] for frame in read["frames"]}
    for frame in read["frames"]:
        assert frame["source"] and frame["place"] and 50 < frame["median"] < 95, frame
