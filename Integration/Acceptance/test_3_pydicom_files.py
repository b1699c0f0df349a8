# SPDX-License-Identifier: GPL-3.0-or-later
"""The DICOM files that the PyPI package pydicom ships: odd, old, broken and rare ones."""

import sys
from pathlib import Path

import pytest

from harness.gantry import taking_everything
from harness.orthanc import Sender
from harness.processes import ROOT, run, wait_until


@pytest.fixture(scope="module")
def pydicom_files():
    """Every file of pydicom's test data, from a throw-away environment under .build."""
    folder = ROOT / ".build" / "pydicom"
    if not (folder / "bin" / "python").exists():
        run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "pydicom==3.0.1")
    data = Path(run(folder / "bin" / "python", "-c",
                    "import pydicom.data, os; print(os.path.dirname(pydicom.data.__file__))").strip())
    files = sorted(path for path in data.rglob("*") if path.is_file() and is_dicom(path))
    assert len(files) > 80
    return files


def is_dicom(path):
    with open(path, "rb") as file:
        file.seek(128)
        return file.read(4) == b"DICM"


def test_whatever_the_gateway_accepts_is_scored_or_set_aside_with_a_reason(start, package, pydicom_files, tmp_path):
    hospital = start.hospital(packages=[taking_everything(package, tmp_path / "any-modality")]).start()

    accepted = 0
    for file in pydicom_files:
        # One association for each file: a sender that gives up on one file must not hide the next.
        accepted += Sender(hospital.orthanc, [file]).finish(check=False)[0]
    assert accepted > 60

    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0, 180)

    scored, reasons = 0, {}
    for study in hospital.orthanc.get("/studies?expand"):
        stored = {instance["ID"] for instance in hospital.orthanc.get(f"/studies/{study['ID']}/instances")}

        def accounted():
            seen = hospital.orthanc.study(study["ID"])
            return seen if seen and sum(seen["counts"].values()) == len(stored) else None

        seen = wait_until(f"all {len(stored)} instances of study {study['ID']} have an outcome", accounted)
        scored += seen["counts"]["scored"]
        for entry in seen["set_aside"] + seen["ignored"]:
            assert entry["gateway_instance"] in stored
            assert entry["reason"], entry
            reasons[entry["gateway_instance"]] = entry["reason"]
    print(f"{len(pydicom_files)} files, {accepted} accepted, {scored} scored, {len(reasons)} set aside or ignored:")
    for reason in sorted(set(reasons.values())):
        print(f"  {reason}")
    assert scored >= 40
    assert hospital.orthanc.process.running and hospital.worker.process.running
