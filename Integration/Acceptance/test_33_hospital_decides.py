# SPDX-License-Identifier: GPL-3.0-or-later
"""The hospital decides what runs: packages of a hub wait for approval, its own are never replaced, versions are gone back
to and kept, and no hub uses up the disk."""

import hashlib
import json
import os
import pwd
import shutil
import sqlite3
import struct
import sys
from pathlib import Path

import pytest

from harness.gantry import FINDING, GANTRY, Hospital, make_phantoms, new_package
from harness.processes import TimedOut, run, wait_until
from harness.scripted_hub import ScriptedHub, package_hash, tensor_names, version_id, with_values

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Faults"))
from disks import Disk  # noqa: E402

NAME = "head-ct-haemorrhage"
PATIENCE = 180


@pytest.fixture
def hub(start, tmp_path):
    return start.process(ScriptedHub(tmp_path / "hub")).start()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A package of the hospital's own model's name, whose guard lets everything through."""
    package = new_package(tmp_path_factory.mktemp("theirs") / "head-ct", seed=2)
    manifest = package / "configs" / "gantry.json"
    settings = json.loads(manifest.read_text())
    settings["title"] = "Better \x1b[2Jmodel"
    settings["guard"]["margin"] = 1.0
    manifest.write_text(json.dumps(settings))
    return package


def own_version(package):
    """The id of the version with a package's own parameters."""
    files = [
        {"path": str(path.relative_to(package)), "hash": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in package.rglob("*") if path.is_file()]
    parameters = next(file["hash"] for file in files if file["path"] == "models/parameters.safetensors")
    return version_id({"package": package_hash(files), "parameters": parameters})


def parameters_of(package):
    return (package / "models/parameters.safetensors").read_bytes()


def nudged(package, by):
    """Its parameters with one value changed so little that no study is ranked otherwise."""
    parameters = parameters_of(package)
    name = tensor_names(parameters)[0]
    (length,) = struct.unpack_from("<Q", parameters)
    begin, end = json.loads(parameters[8:8 + length])[name]["data_offsets"]
    values = struct.unpack_from(f"<{(end - begin) // 4}f", parameters, 8 + length + begin)
    return with_values(parameters, name, lambda index: values[index] + (by if index == 0 else 0))


def blind(package):
    """Its parameters with a bias at the end after which nothing is ever found."""
    parameters = parameters_of(package)
    return with_values(parameters, next(n for n in tensor_names(parameters) if n == "head.bias"), lambda index: -30.0)


def turns(hub, count=5):
    """Waits until the site has said hello so often more: by then it has done what follows from what the hub offers."""
    before = len(hub.hellos)
    wait_until(f"{count} more hellos", lambda: len(hub.hellos) >= before + count, PATIENCE)


def status(hospital):
    return hospital.orthanc.get("/gantry/status")["models"] or {}


def live(hospital, version=None):
    """Waits until `version` is what the gateway knows to be live, None: nothing."""
    wait_until(
        f"{(version or 'nothing')[:12]} is live",
        lambda: [model["version"] for model in status(hospital).get("live", [])] == ([version] if version else []), PATIENCE)


def audit(hospital):
    return run(GANTRY, "audit", "show", hospital.worker.state / "worker.sqlite", "--last", 100)


def configure(hospital, **settings):
    file = hospital.worker.folder / "worker.json"
    configuration = {**json.loads(file.read_text()), **settings}
    file.write_text(json.dumps({key: value for key, value in configuration.items() if value is not None}))


def write(hospital, statement):
    connection = sqlite3.connect(hospital.worker.state / "worker.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def flagged_by(hospital, study):
    hospital.orthanc.send(study.files)
    return hospital.wait_for_flags([study.uid], PATIENCE)[study.uid][-1]["model"]["version"]


def test_a_hub_cannot_take_the_place_of_the_hospitals_own_model(start, hub, package, theirs, phantoms):
    own = own_version(package)
    hub.offer(theirs)
    hospital = start.hospital(packages=[package], hub=hub, worker={"hub_seconds": 0.3}).start()
    wait_until("a model is live", hospital.orthanc.live_version, PATIENCE)
    turns(hub)
    assert hospital.orthanc.live_version() == own, "the hub's package took the place of the hospital's own"
    assert flagged_by(hospital, phantoms[0]) == own

    # It waits, and says what it is, wherever an administrator looks. Nothing but its manifest was fetched.
    offered = hub.models[0]["version"]["package"]
    said = hospital.worker.model("list")
    assert "waiting for approval" in said and offered in said and hub.endpoint in said
    assert "at most 1.0 worse" in said and "CT" in said and FINDING in said and "Better ?[2Jmodel" in said
    assert f"gantry model approve (or deny) {offered[:12]}" in said
    wait_until(
        "status shows it", lambda: [p["state"] for p in status(hospital)["packages"] if p["package"] == offered] == ["waiting"])
    assert "package-offered" in audit(hospital) and "waits for approval" in hospital.worker.process.log_text()
    manifest = hashlib.sha256((theirs / "configs/gantry.json").read_bytes()).hexdigest()
    assert hub.fetched == {manifest}

    # Approving it would replace the own one: it has to be said, and what the settings name cannot be replaced at all.
    said = hospital.worker.model("approve", offered[:12], check=False)
    assert "--replace" in said and "the settings" in said
    said = hospital.worker.model("approve", offered[:12], "--replace", check=False)
    assert "`packages`" in said
    hospital.worker.stop()
    hospital.worker.start()
    turns(hub)
    live(hospital, own)

    # A database in which a hub's package has taken the place, as before this: the settings win at the next start.
    hospital.worker.stop()
    write(hospital, f"UPDATE package SET state = CASE package WHEN '{offered}' THEN 'active' ELSE 'replaced' END")
    hospital.worker.start()
    wait_until("the own one is back", lambda: hospital.worker.packages(package=offered)[0]["state"] == "replaced")
    live(hospital, own)

    # Packages that the settings no longer name stop; an empty list means none.
    hospital.worker.stop()
    configure(hospital, packages=[])
    hospital.worker.start()
    live(hospital)
    assert "no longer named in the settings" in hospital.worker.model("list")
    # Now the hub's may be taken instead.
    hospital.worker.model("remove", offered[:12])
    hospital.approve()
    live(hospital, version_id(hub.models[0]["version"]))
    assert "none changed or missing" in run(GANTRY, "audit", "verify", hospital.worker.state / "worker.sqlite")


def test_a_hospital_that_joins_sees_what_it_takes_and_no_blind_version_goes_live(start, hub, package, phantoms):
    hub.offer(package, blind(package), rounds=27, sitesLive=1, sitesRefused=3)
    hospital = start.hospital(packages=None, hub=hub, worker={"hub_seconds": 0.3}).start()
    wait_until("the hub is asked", lambda: hub.fetched, PATIENCE)
    turns(hub)
    assert hospital.orthanc.live_version() is None, "the first version of a hub went live by itself"
    said = hospital.worker.model("list")
    assert "after 27 rounds" in said and "live at 1 sites, refused by 3" in said

    said = hospital.worker.model("approve", NAME)
    assert "approved" in said
    row = wait_until(
        "the version is refused",
        lambda: hospital.worker.rows("SELECT * FROM hub_offer WHERE problem LIKE '%the same whatever%'"), PATIENCE)[0]
    assert hospital.worker.packages()[0]["state"] == "waiting" and row["approved_parameters"] is None
    assert "the same whatever it is shown" in hospital.worker.model("list") and "version-refused" in audit(hospital)
    assert hospital.orthanc.live_version() is None

    hub.offer(package, rounds=28, sitesLive=4, sitesRefused=0)
    wait_until("the next version is offered", lambda: "after 28 rounds" in hospital.worker.model("list"), PATIENCE)
    hospital.worker.model("approve", NAME)
    live(hospital, own_version(package))
    assert flagged_by(hospital, phantoms[0]) == own_version(package)
    assert "package-approved" in audit(hospital) and "version=" in audit(hospital)

    # A hub cannot have the site train for ever.
    hub.models[0]["round"] = {
        "round": 1, "base": hub.models[0]["version"], "secondsLeft": 100, "minimumLabels": 1, "epochs": 1000,
        "batchStudies": 1, "optimiser": "adam", "learningRate": 0.001, "weightDecay": 0, "momentum": 0, "seed": 1}
    wait_until(
        "the round is declined",
        lambda: [r["reason"] for r in status(hospital)["federation"]["declined"]] == ["epochs"], PATIENCE)
    assert "round-declined" in audit(hospital) and "epochs_most" in hospital.worker.process.log_text()


def test_every_decision_counts_while_the_worker_runs_and_after_a_restart(start, hub, package, tmp_path):
    first = own_version(package)
    model = hub.offer(package)
    hospital = start.hospital(packages=None, hub=hub, worker={"held_out_share": 0.9, "hub_seconds": 0.3}).start()
    hospital.approve()
    live(hospital, first)
    studies = make_phantoms(tmp_path / "studies", studies=16, seed=33, slices=4)
    labelled, later = studies[:14], studies[14:]
    hospital.orthanc.send([file for study in labelled for file in study.files])
    flags = hospital.wait_for_flags([study.uid for study in labelled], PATIENCE)
    # Labels that the first version gets right: the next ones rank alike.
    ranked = sorted(labelled, key=lambda study: flags[study.uid][0]["findings"][0]["probability"])
    sheet = tmp_path / "labels.csv"
    sheet.write_text("StudyInstanceUID,finding,present\n" + "".join(
        f"{study.uid},{FINDING},{int(place >= 7)}\n" for place, study in enumerate(ranked)))
    run(GANTRY, "labels", "import", sheet, "--state", hospital.worker.state)

    def offer(by, rounds):
        return version_id(hub.offer(package, nudged(package, by), rounds)["version"])

    def restart():
        hospital.worker.stop()
        hospital.worker.start()

    # A version of the approved package goes through the guard, without a new approval.
    second = offer(1e-6, 1)
    live(hospital, second)

    # Going back: the version is refused by this site, and does not come back.
    assert first[:12] in hospital.worker.model("rollback", NAME)
    live(hospital, first)
    wait_until("the hub hears it", lambda: (second, "refused") in [(r["version"], r["decision"]) for r in hub.reports], PATIENCE)
    restart()
    turns(hub)
    live(hospital, first)
    assert "no version was live before" not in hospital.worker.model("rollback", NAME, "--to", second[:12])
    live(hospital, second)
    said = hospital.worker.model("rollback", NAME, "--to", "ffff", check=False)
    assert first[:12] in said and "no version" in said

    # Pinned, a new version waits, also after a restart; unpinned, it goes through the guard.
    hospital.worker.model("pin", NAME)
    third = offer(2e-6, 2)
    wait_until("the new version is noted", lambda: "waits: pinned" in hospital.worker.model("list", NAME), PATIENCE)
    restart()
    turns(hub)
    live(hospital, second)
    hospital.worker.model("unpin", NAME)
    live(hospital, third)

    # Disabled, nothing is scored, also after a restart; what came meanwhile waits in the gateway.
    hospital.worker.model("disable", NAME)
    live(hospital)
    restart()
    turns(hub)
    live(hospital)
    hospital.orthanc.send(later[0].files)
    assert hospital.orthanc.waiting() == len(later[0].files) and not hospital.orthanc.final_flags(later[0].uid)
    assert not hub.hellos[-1]["packages"], "the hub does not count on it"
    hospital.worker.model("enable", NAME)
    live(hospital, third)
    assert hospital.wait_for_flags([later[0].uid], PATIENCE)[later[0].uid][0]["model"]["version"] == third

    # What is installed by hand takes the place at once.
    ours = new_package(tmp_path / "ours", seed=9)
    hospital.worker.model("install", ours)
    live(hospital, own_version(ours))
    assert flagged_by(hospital, later[1]) == own_version(ours)
    restart()
    turns(hub)
    live(hospital, own_version(ours))
    said = hospital.worker.model("enable", model["version"]["package"][:12], check=False)
    assert "disable it first" in said

    # Removed, nothing of it is left but flags and labels; the hub's offer waits again, and is denied.
    offered = model["version"]["package"]
    hospital.worker.model("remove", offered[:12])
    assert not (hospital.worker.state / "packages" / offered).exists()
    assert hospital.worker.rows("SELECT COUNT(*) AS n FROM label")[0]["n"] == len(labelled)
    assert len(hospital.orthanc.final_flags(labelled[0].uid)) == 1
    wait_until("it is offered again", lambda: hospital.worker.packages(package=offered, state="waiting"), PATIENCE)
    hospital.worker.model("deny", offered[:12])
    restart()
    turns(hub)
    assert hospital.worker.packages(package=offered)[0]["state"] == "denied"
    live(hospital, own_version(ours))

    said = hospital.worker.model("disable", "nobody", check=False)
    assert "no package is called" in said and ours.name not in said and NAME in said
    record = audit(hospital)
    for event in ("package-approved", "version-rolled-back", "package-pinned", "package-unpinned", "package-disabled",
                  "package-enabled", "package-installed", "package-removed", "package-denied"):
        assert event in record
    assert f"by={pwd.getpwuid(os.getuid()).pw_name}" in record
    for command in ("approve", "deny", "disable", "enable", "remove", "rollback", "pin", "unpin", "list", "install"):
        assert "--state" in run(GANTRY, "model", command, "--help")


def test_a_hub_that_offers_very_much_makes_a_few_packages_wait(start, hub, package, theirs, tmp_path):
    for number in range(40):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(theirs, copy)
        (copy / "docs").mkdir()
        (copy / "docs" / "number").write_text(str(number))
        hub.offer(copy)
    hospital = start.hospital(packages=[package], hub=hub).start()
    wait_until(
        "the rest is not listened to", lambda: "wait for approval" in (status(hospital).get("federation", {}).get("problem") or ""),
        PATIENCE)
    turns(hub)
    assert len(hospital.worker.packages(state="waiting")) == 16
    assert hospital.orthanc.live_version() == own_version(package)
    log = hospital.worker.process.log_text()
    assert log.count("it is not asked about more") <= 20
    # More than any hub needs is no message at all.
    hub.models = hub.models * 2
    wait_until("the message is refused", lambda: status(hospital)["federation"]["state"] == "failed", PATIENCE)
    assert "models" in status(hospital)["federation"]["problem"]


MEGABYTES = 480


@pytest.fixture
def disk(tmp_path):
    """A small disk for gateway and worker together."""
    try:
        disk = Disk(tmp_path / "disk", MEGABYTES)
    except OSError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    yield disk
    run("umount", "--lazy", disk.path)


def free(disk):
    space = os.statvfs(disk.path)
    return space.f_bavail * space.f_frsize >> 20


def test_a_hub_cannot_use_up_the_disk(start, hub, disk, package, theirs, phantoms):
    def offer(name, sizes):
        """Offers a package with more files, all of zeros, that may be too much; gives its hash."""
        files = []
        for path in ("configs/gantry.json", "models/model.ts", "models/parameters.safetensors"):
            content = (theirs / path).read_bytes()
            files.append({"path": path, "hash": hashlib.sha256(content).hexdigest(), "bytes": len(content)})
            hub.files[files[-1]["hash"]] = content
        for number, size in enumerate(sizes):
            digest = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
            hub.zeros.add(digest)
            files.insert(0, {"path": f"docs/{number}", "hash": digest, "bytes": size})
        return hub.offer_files(NAME, files, files[-1]["hash"], files[-1]["bytes"])["version"]["package"]

    hospital = Hospital("hospital", disk.path / "hospital", packages=[package], hub=hub, worker={"results": "off", "hub_seconds": 0.3})
    start.process(hospital).start()
    wait_until("a model is live", hospital.orthanc.live_version, PATIENCE)
    configure(hospital, packages=None)
    before = free(disk)

    def stores_everything(studies=phantoms):
        for study in studies:
            hospital.orthanc.send(study.files)
        return hospital.orthanc.instances() >= sum(len(study.files) for study in studies)

    # Twenty files of 16 GiB: nothing but the manifest comes.
    huge = offer("huge", [16 << 30] * 20)
    hellos = len(hub.hellos)
    wait_until(
        "the hub is asked five times more, or the disk is full",
        lambda: len(hub.hellos) >= hellos + 5 or free(disk) < before - 60, PATIENCE)
    assert free(disk) > before - 30, f"a hub has used up the disk: {free(disk)} MB of {before} are free"
    assert stores_everything()

    def refused(package, reason):
        """Approves a package and waits until the list says why it cannot come; gives how much came."""
        seen = hub.fetched_bytes
        hospital.worker.model("approve", package[:12], "--replace")
        wait_until(f"{reason} is named", lambda: reason in hospital.worker.model("list", package[:12]), PATIENCE)
        return hub.fetched_bytes - seen

    # What the settings name is not replaced: here it was installed by hand.
    hospital.worker.stop()
    write(hospital, "UPDATE package SET origin = 'command' WHERE state = 'active'")
    hospital.worker.start()
    wait_until("it waits", lambda: hospital.worker.packages(package=huge, state="waiting"), PATIENCE)
    assert refused(huge, "package_megabytes") == 0
    hospital.worker.model("deny", huge[:12])

    # Larger than the disk has room for: not begun.
    large = offer("large", [200 << 20, 200 << 20])
    wait_until("it waits", lambda: hospital.worker.packages(package=large, state="waiting"), PATIENCE)
    assert refused(large, "disk_reserve_megabytes") == 0
    hospital.worker.model("deny", large[:12])

    # The disk fills while it comes: it stops before the reserve, and leaves nothing behind.
    def fill(digest, offset):
        if digest in hub.zeros and offset == 40 << 20:
            with open(disk.ballast, "wb") as file:
                file.write(bytes(max(0, free(disk) - MEGABYTES // 4 - 20) << 20))

    hub.on_fetch = fill
    growing = offer("growing", [150 << 20])
    wait_until("it waits", lambda: hospital.worker.packages(package=growing, state="waiting"), PATIENCE)
    assert refused(growing, "disk_reserve_megabytes") > 40 << 20
    assert free(disk) >= MEGABYTES // 4 - 5
    assert not [file for file in (hospital.worker.state / "incoming").iterdir()]
    hub.on_fetch = lambda digest, offset: None
    disk.free()
    # Content that is not what its hash says is gone as well, and is tried again with pauses that grow.
    wait_until("it is tried again", lambda: "promises" in hospital.worker.model("list", growing[:12]), PATIENCE)
    assert not [file for file in (hospital.worker.state / "incoming").iterdir() if file.stat().st_size > 200 << 20]
    hospital.worker.model("deny", growing[:12])
    live(hospital, own_version(package))

    # A disk that was full of what an earlier version had begun is free again after the start.
    hospital.worker.stop()
    (hospital.worker.state / "incoming" / f"{'0' * 64}.part").write_bytes(bytes(max(1, free(disk) - 20) << 20))
    assert free(disk) < MEGABYTES // 8
    hospital.worker.start()
    wait_until("the disk is free again", lambda: free(disk) > MEGABYTES // 4, PATIENCE)
    hospital.wait_for_flags([study.uid for study in phantoms], PATIENCE)
    assert stores_everything()


def test_versions_that_follow_each_other_quickly_do_not_fill_the_disk(start, hub, package):
    hub.offer(package)
    hospital = start.hospital(packages=None, hub=hub, worker={"hub_seconds": 0.2}).start()
    hospital.approve()
    live(hospital, own_version(package))
    # A version of another size is none of this model.
    hub.offer(package, parameters_of(package) + bytes(8 << 20), rounds=1)
    wait_until(
        "it is refused", lambda: "those of the package have" in (status(hospital)["federation"].get("problem") or ""), PATIENCE)
    for number in range(20):
        version = version_id(hub.offer(package, nudged(package, (number + 1) * 1e-6), rounds=number + 2)["version"])
        wait_until(
            "the version is noted",
            lambda: hospital.worker.rows("SELECT 1 FROM model_version WHERE model_version = ?", version), PATIENCE)
    parameters = hospital.worker.state / "parameters"

    def few():
        return len(list(parameters.iterdir())) <= 3

    try:
        wait_until("old parameters are gone", few, PATIENCE)
    except TimedOut:
        pytest.fail(f"{len(list(parameters.iterdir()))} files of parameters")
    assert own_version(package) == hospital.orthanc.live_version()
