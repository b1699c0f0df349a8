# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flag is worth at this site, thresholds chosen on its own labels, several findings and several models."""

import json
import subprocess
import xml.etree.ElementTree

import pytest

from harness.browser import Browser
from harness.gantry import FINDING, GANTRY, area_under_curve, make_phantoms, new_package
from harness.processes import ROOT, run, wait_until

PICTURES = ROOT / ".build/pictures/operating-point"


def calibrate(hospital, *options):
    """The exit status and everything that `gantry model calibrate` says."""
    done = subprocess.run(
        [GANTRY, "model", "calibrate", "--state", hospital.worker.state, *map(str, options)], capture_output=True,
        text=True)
    return done.returncode, done.stdout + done.stderr


def import_labels(hospital, studies, folder):
    sheet = folder / "labels.csv"
    sheet.write_text("StudyInstanceUID,finding,present\n" + "".join(
        f"{study.uid},{FINDING},{int(study.present)}\n" for study in studies))
    run(GANTRY, "labels", "import", sheet, "--state", hospital.worker.state)


def grounds(hospital):
    """What /gantry/status says of the one finding of the one live model."""
    models = hospital.orthanc.get("/gantry/status")["models"]
    return models["live"][0]["findings"][0] if models and models["live"] else {}


def wilson(successes, trials):
    """Wilson 1927, written down once more."""
    z, p = 1.959963984540054, successes / trials
    centre, reach = p + z * z / 2 / trials, z * (p * (1 - p) / trials + z * z / 4 / trials**2) ** 0.5
    return [(centre + sign * reach) / (1 + z * z / trials) for sign in (-1, 1)]


def test_a_site_chooses_its_threshold_on_held_out_labels_and_every_flag_says_what_it_is_worth(start, package, tmp_path):
    studies = make_phantoms(tmp_path / "phantoms", studies=64, seed=24, slices=4)
    labelled, later = studies[:60], studies[60:]
    hospital = start.hospital(packages=[package], worker={"held_out_share": 0.9, "resend_seconds": 1}).start()
    hospital.orthanc.send([file for study in labelled for file in study.files])
    flags = hospital.wait_for_flags([study.uid for study in labelled], 300)
    first = flags[labelled[0].uid][0]["findings"][0]
    assert first["operating_point"] == "package" and first["threshold"] == 0.5 and "validation" not in first

    # Too few labels of each kind.
    import_labels(hospital, labelled[:20], tmp_path)
    status, said = calibrate(hospital, "--sensitivity", 0.95)
    assert status == 1 and "it takes 20 of each" in said and "gantry labels import" in said
    assert hospital.worker.rows("SELECT * FROM operating_point") == []

    import_labels(hospital, labelled, tmp_path)
    held_out = {row["uid"] for row in hospital.worker.rows("SELECT study_instance_uid AS uid FROM study WHERE held_out = 1")}
    scored = [
        (flags[study.uid][0]["findings"][0]["probability"], study.present)
        for study in labelled if study.uid in held_out]
    positives = sorted((score for score, present in scored if present), reverse=True)
    wait_until(
        "the figures rest on all held-out labels",
        lambda: (grounds(hospital).get("validation") or {}).get("labels") == len(scored), 180)
    validation = grounds(hospital)["validation"]
    assert validation["positives"] == len(positives) >= 20 and len(scored) - len(positives) >= 20
    found = sum(score >= 0.5 for score in positives)
    assert validation["sensitivity"]["value"] == pytest.approx(found / len(positives))
    assert validation["auc"]["value"] == pytest.approx(area_under_curve(scored))

    # Looking changes nothing.
    status, said = calibrate(hospital, "--sensitivity", 0.95, "--dry-run")
    assert status == 0 and "nothing was changed" in said
    assert hospital.worker.rows("SELECT * FROM operating_point") == []

    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / "roc.svg"
    status, said = calibrate(hospital, "--sensitivity", 0.95, "--picture", picture)
    assert status == 0, said
    # The highest threshold that flags 95 % of the positive studies.
    needed = next(count for count in range(1, len(positives) + 1) if count >= 0.95 * len(positives) - 1e-9)
    threshold = positives[needed - 1]
    (point,) = hospital.worker.rows("SELECT * FROM operating_point")
    assert point["threshold"] == pytest.approx(threshold, abs=1e-12) and point["positives"] == len(positives)
    found = sum(score >= threshold for score in positives)
    false = sum(score >= threshold for score, present in scored if not present)
    low, high = wilson(found, len(positives))
    assert f"{100 * found / len(positives):.0f} ({100 * low:.0f}–{100 * high:.0f})" in said
    low, high = wilson(false, len(scored) - len(positives))
    assert f"{100 * false / (len(scored) - len(positives)):.0f} ({100 * low:.0f}–{100 * high:.0f})" in said

    # The worker that runs takes it up, and the next study is flagged by it.
    wait_until("the worker uses the site's threshold", lambda: grounds(hospital).get("operating_point") == "site", 180)

    def check(study):
        hospital.orthanc.send(study.files)
        finding = hospital.wait_for_flags([study.uid], 180)[study.uid][0]["findings"][0]
        assert finding["threshold"] == point["threshold"] and finding["operating_point"] == "site"
        assert finding["positive"] == (finding["probability"] >= point["threshold"])
        figures = finding["validation"]
        assert figures["labels"] == figures["calibration_labels"] == len(scored)
        low, high = wilson(found, len(positives))
        assert [figures["sensitivity"][key] for key in ("value", "low", "high")] == pytest.approx(
            [found / len(positives), low, min(high, 1)])
        assert figures["specificity"]["value"] == pytest.approx(1 - false / (len(scored) - len(positives)))

    wait_until(
        "the figures are those at the site's threshold",
        lambda: (grounds(hospital).get("validation") or {}).get("calibration_labels") == len(scored), 180)
    check(later[0])
    hospital.worker.kill()
    hospital.worker.start()
    check(later[1])
    # What was flagged before stays as it was told; only what people said has come to it.
    before = hospital.orthanc.final_flags(labelled[0].uid)[0]["findings"][0]
    assert {key: value for key, value in before.items() if key != "statements"} == first

    said = run(GANTRY, "model", "status", "--state", hospital.worker.state)
    assert "this site, for a sensitivity 0.95" in said and f"{len(scored)} labels" in said
    database = hospital.worker.state / "worker.sqlite"
    assert "operating-point-calibrated" in run(GANTRY, "audit", "show", database)

    # A database that is lost takes the labels along, and not the threshold.
    hospital.worker.kill()
    for file in hospital.worker.state.glob("worker.sqlite*"):
        file.write_bytes(b"not a database at all" * 1000)
    hospital.worker.start()
    hospital.orthanc.send(later[2].files)
    finding = hospital.wait_for_flags([later[2].uid], 180)[later[2].uid][0]["findings"][0]
    assert finding["threshold"] == point["threshold"] and finding["operating_point"] == "site"
    assert "back from their copy: 1" in hospital.worker.process.log_text()

    status, said = calibrate(hospital, "--reset")
    assert status == 0, said
    wait_until("the package's threshold counts again", lambda: grounds(hospital).get("operating_point") == "package", 180)
    hospital.orthanc.send(later[3].files)
    finding = hospital.wait_for_flags([later[3].uid], 180)[later[3].uid][0]["findings"][0]
    assert finding["threshold"] == 0.5 and finding["operating_point"] == "package"
    assert "none changed or missing" in run(GANTRY, "audit", "verify", database)
    record = run(GANTRY, "audit", "show", database)
    assert "operating-point-recovered" in record and "operating-point-reset" in record

    xml.etree.ElementTree.parse(picture)
    page = start.process(Browser(tmp_path / "browser", width=600, height=840)).start().page
    for scheme in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.open(picture.as_uri())
        assert page.evaluate("document.querySelector('path.curve').getTotalLength()") > 500
        assert page.evaluate("document.querySelector('circle.point').getBoundingClientRect().width") > 5
        page.screenshot(PICTURES / f"roc-{scheme}.png")
    assert page.problems == []


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory):
    """A package with two findings on one encoder. Exported by PyTorch, in the
    environment of Integration/Packages."""
    environment = ROOT / ".build" / "pytorch"
    python = environment / "bin" / "python3"
    if not python.exists():
        run("/usr/bin/python3", "-m", "venv", environment)
    run(python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "torch==2.13.0", "numpy==2.4.6")
    package = tmp_path_factory.mktemp("two-heads") / "head-ct-two"
    run(GANTRY, "model", "new", "--modality", "CT", "--finding", "bleed", "--finding", "fracture", "--urgency", "critical",
        "--window", "40,80", "--window", "600,2800", "--name", "two-heads", "--out", package)
    run(python, ROOT / "Integration" / "Packages" / "two_heads.py", package / "models" / "model.ts")
    manifest = package / "configs" / "gantry.json"
    settings = json.loads(manifest.read_text())
    settings["findings"][1]["urgency"] = "routine"
    manifest.write_text(json.dumps(settings))
    (package / "models" / "parameters.safetensors").unlink()
    run(GANTRY, "model", "prepare", package)
    return package


def test_one_encoder_runs_once_for_all_findings_and_the_worklist_shows_the_most_urgent_model(
        start, two_heads, phantoms, tmp_path):
    # Beside it another package that looks at the same studies and never flags.
    silent = new_package(tmp_path / "silent", seed=5)
    manifest = silent / "configs" / "gantry.json"
    settings = json.loads(manifest.read_text())
    settings["findings"][0]["threshold"] = 1
    manifest.write_text(json.dumps(settings))
    hospital = start.hospital(packages=[silent, two_heads], worker={"resend_seconds": 1}).start()
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    wait_until("both models are final", lambda: len(hospital.orthanc.final_flags(study.uid)) == 2, 180)

    (row,) = hospital.orthanc.worklist()
    assert row["urgency"] == "critical" and row["model"]["name"] == "two-heads"
    found = {finding["finding"]: finding for finding in row["findings"]}
    assert found["bleed"]["positive"] and found["fracture"]["positive"]
    assert found["bleed"]["urgency"] == "critical" and found["fracture"]["urgency"] == "routine"
    assert found["fracture"]["probability"] > found["bleed"]["probability"]
    flags = hospital.orthanc.study(study.uid)["flags"]
    assert [flag["model"]["name"] for flag in flags] == ["two-heads", settings["name"]]
    assert [flag["urgency"] for flag in flags] == ["critical", "none"]

    # Each finding of each model is reviewed by itself.
    hospital.orthanc.review(study.uid, "fracture", "disagree")
    wait_until("the label is there", lambda: hospital.worker.rows("SELECT finding, present FROM label")
               == [{"finding": "fracture", "present": 0}], 180)
    # Several packages and findings: it has to be said which one is meant.
    status, said = calibrate(hospital, "--sensitivity", 0.9)
    assert status != 0 and "--package two-heads" in said
    status, said = calibrate(hospital, "--sensitivity", 0.9, "--package", "two-heads")
    assert status != 0 and "--finding bleed or --finding fracture" in said

    live = {model["name"]: model for model in hospital.orthanc.get("/gantry/status")["models"]["live"]}
    assert live["two-heads"]["scoring"]["slices"] == len(study.files)
