# SPDX-License-Identifier: GPL-3.0-or-later
"""A model cannot reach anything: what hostile TorchScript tries is named, its model set aside, and others go on."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.gantry import GANTRY, make_phantoms
from harness.processes import BIN, wait_until
from harness.script_model import forward, on_load, script_package

SECRET = b"DOE^JANE"
# What a model does: statements, and a number that it needs for its answer, without which TorchScript leaves them out.
# Eight bytes of a file are read or written (0 is uint8, 6 is float, 4 is int64).
READ = ((), "torch.from_file('{path}', False, 8, dtype=0).to(6).sum() * 0.0")
WRITE = ((), "torch.from_file('{path}', True, 8, dtype=0).fill_(65).to(6).sum() * 0.0")
FOR_EVER = (("i = 0", "while i >= 0:", "    i = (i + 1) % 1000"), "float(i)")
GREEDY = ((), "torch.ones([1 << 36]).sum()")
# The smallest number divided by -1: the processor gives up.
CRASH = (("y = torch.full([8], -9223372036854775807 - 1, dtype=4)",
          "z = torch.div(y, torch.full([8], -1, dtype=4), rounding_mode='trunc')"), "z.to(6).sum() * 0.0")
# The warm-up is zeros, images are not.
ON_IMAGES = "if float(x.abs().sum()) > 0.0:"
WHILE_TRAINING = "if torch.is_grad_enabled():"


def lines(deed, target, when=None):
    statements, number = deed
    found = [*statements, f"{target} = {target} + {number}"]
    return [when, *(f"    {line}" for line in found)] if when else found


# name: (what it does in forward and when, what it does while it is loaded, what the reason must say)
HOSTILE = {
    "reads in forward": (READ, None, None, "aten::from_file (in forward)"),
    "reads while loaded": (None, None, READ, "openat"),
    "reads for images": (READ, ON_IMAGES, None, "aten::from_file (in forward)"),
    "writes in forward": (WRITE, None, None, "aten::from_file (in forward)"),
    "writes while loaded": (None, None, WRITE, "openat"),
    "never returns": (FOR_EVER, None, None, "no answer"),
    "never returns for images": (FOR_EVER, ON_IMAGES, None, "no answer"),
    "never loads": (None, None, FOR_EVER, "no answer"),
    "takes all memory": (GREEDY, None, None, "memory"),
    "crashes": (CRASH, None, None, "signal"),
}


@pytest.fixture
def secret(tmp_path):
    """A file that the worker may read and a model may not."""
    file = tmp_path / "secret.txt"
    file.write_bytes(SECRET)
    return file


@pytest.fixture
def hostile(package, secret, tmp_path):
    """Makes a package by the statements of its forward and those that run while it is loaded."""

    def make(in_forward=None, when=None, while_loaded=None, target=None, **changes):
        def filled(found):
            return [line.replace("{path}", str(target or secret)) for line in found]

        return script_package(
            package, tmp_path / "evil", "evil", forward(*filled(lines(in_forward, "x", when) if in_forward else [])),
            on_load(*filled(lines(while_loaded, "self.seen"))) if while_loaded else None, **changes)

    return make


def status(hospital):
    return hospital.orthanc.get("/gantry/status")["models"] or {}


def set_aside(hospital, name):
    """Why a model was set aside; None while it was not."""
    found = [model["reason"] for model in status(hospital).get("models_set_aside", []) if model["name"] == name]
    return found[0] if found else None


def flags_by_model(hospital, study):
    return {flag["model"]["name"]: flag for flag in hospital.orthanc.final_flags(study)}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_model_is_set_aside_and_others_go_on(kind, start, package, hostile, phantoms, secret, tmp_path):
    in_forward, when, while_loaded, reason = HOSTILE[kind]
    target = tmp_path / "written.txt" if "writes" in kind else secret
    evil = hostile(in_forward, when, while_loaded, target=target)
    hospital = start.hospital(
        packages=[package, evil], worker={"model_seconds": 2, "model_megabytes": 2048, "status_seconds": 0.3}).start()
    for study in phantoms[:2]:
        hospital.orthanc.send(study.files)
    hospital.wait_for_flags([study.uid for study in phantoms[:2]])
    named = wait_until("the model is set aside", lambda: set_aside(hospital, "evil"), 60)
    assert reason in named, named
    assert [model["name"] for model in status(hospital)["live"]] == ["head-ct-haemorrhage"]
    hospital.orthanc.send(phantoms[2].files)
    hospital.wait_for_flags([phantoms[2].uid])
    for study in phantoms[:3]:
        flags = flags_by_model(hospital, study.uid)
        assert list(flags) == ["head-ct-haemorrhage"], flags
    flag = flags_by_model(hospital, phantoms[2].uid)["head-ct-haemorrhage"]
    assert flag["instances"]["set_aside"] == 0, flag["instances"]
    assert secret.read_bytes() == SECRET and not (tmp_path / "written.txt").exists()
    assert "evil" in hospital.worker.process.log_text() and "is set aside" in hospital.worker.process.log_text()
    assert hospital.worker.rows("SELECT * FROM audit_entry WHERE event = 'model-set-aside'")
    assert hospital.worker.process.stop(seconds=5) == 0


def test_instances_of_a_model_that_was_set_aside_say_so(start, hostile, phantoms):
    evil = hostile(FOR_EVER)
    hospital = start.hospital(packages=[evil], worker={"model_seconds": 1, "status_seconds": 0.3}).start()
    hospital.orthanc.send(phantoms[0].files)
    wait_until("every instance is answered", lambda: hospital.orthanc.waiting() == 0, 60)
    wait_until("all of them are counted", lambda: status(hospital)["set_aside"] == {
        "model-set-aside": len(phantoms[0].files)}, 60)
    rows = hospital.worker.rows("SELECT DISTINCT reason FROM instance")
    assert len(rows) == 1 and rows[0]["reason"].startswith("model evil set aside: "), rows
    assert "no answer" in set_aside(hospital, "evil")


@pytest.mark.parametrize("where", ["while it is loaded", "for the first image"])
def test_a_worker_ends_on_sigterm_whatever_its_model_does(where, start, hostile, phantoms):
    evil = hostile(FOR_EVER, when=None if where == "while it is loaded" else ON_IMAGES)
    hospital = start.hospital(packages=[evil], worker={"model_seconds": 3600}).start()
    hospital.orthanc.send(phantoms[0].files)
    wait_until("the model works", lambda: busy_models(hospital.worker), 60)
    assert hospital.worker.process.stop(seconds=5) == 0


def busy_models(worker):
    """The model processes of a worker that have worked for a second."""
    return [child for child in models_of(worker) if processor_seconds(child) > 1]


def models_of(worker):
    children = []
    for task in Path(f"/proc/{worker.process.child.pid}/task").iterdir():
        try:
            children += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return [child for child in children if program(child) == "gantry-model"]


def program(process):
    try:
        return Path(os.readlink(f"/proc/{process}/exe")).name
    except OSError:
        return None


def processor_seconds(process):
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_model_that_never_learns_leaves_the_worker_flagging(start, package, hostile, tmp_path):
    """The loop is taken only with gradients, so that neither hub nor guard sees it."""
    evil = hostile(FOR_EVER, when=WHILE_TRAINING)
    hub = start.hub("--rounds", "1", "--quorum", "1", "--deadline", "600", "--minimum-labels", "2")
    hub.add_model(evil)
    hub.start()
    hospital = start.hospital(
        hub=hub, worker={"model_seconds": 1, "status_seconds": 0.3, "hub_seconds": 0.3, "held_out_share": 0}).start()
    studies = make_phantoms(tmp_path / "studies", studies=4, seed=3, slices=4)
    hospital.approve()
    for study in studies:
        hospital.orthanc.send(study.files)
    hospital.wait_for_flags([study.uid for study in studies])
    finding = flags_by_model(hospital, studies[0].uid)["evil"]["findings"][0]["finding"]
    for index, study in enumerate(studies):
        hospital.orthanc.review(study.uid, finding, "agree" if index % 2 else "disagree")
    failed = wait_until(
        "training failed", lambda: status(hospital).get("training", {}).get("problem"), 120)
    assert "no answer" in failed
    later = make_phantoms(tmp_path / "later", studies=1, seed=4, slices=4)
    hospital.orthanc.send(later[0].files)
    hospital.wait_for_flags([later[0].uid])
    assert hospital.worker.process.stop(seconds=5) == 0


# Command line and hub


def check(*arguments):
    done = subprocess.run(
        [str(argument) for argument in arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


@pytest.mark.parametrize("place", ["forward", "load", "training"])
@pytest.mark.parametrize("deed", ["reads", "writes"])
def test_the_check_names_what_a_model_tried(deed, place, hostile, secret, tmp_path):
    target = secret if deed == "reads" else tmp_path / "written.txt"
    does = READ if deed == "reads" else WRITE
    evil = hostile(None if place == "load" else does, WHILE_TRAINING if place == "training" else None,
                   does if place == "load" else None, target=target)
    code, text = check(GANTRY, "model", "check", evil)
    assert code == 1 and "FAILED" in text, text
    # The graph is walked before anything of it runs; what is done while the file is read is stopped by the sandbox.
    assert (str(target) if place == "load" else "aten::from_file (in forward)") in text, text
    assert secret.read_bytes() == SECRET and not (tmp_path / "written.txt").exists()


@pytest.mark.parametrize("command", ["prepare", "inspect"])
def test_prepare_and_inspect_run_nothing_that_reaches_out(command, hostile, tmp_path):
    written = tmp_path / "written.txt"
    code, text = check(GANTRY, "model", command, hostile(while_loaded=WRITE, target=written))
    assert code != 0 and str(written) in text, text
    assert not written.exists()


@pytest.mark.parametrize("place", ["forward", "load"])
def test_a_hub_takes_no_model_in_that_reaches_out(place, start, hostile, tmp_path):
    written = tmp_path / "written.txt"
    evil = hostile(WRITE, target=written) if place == "forward" else hostile(while_loaded=WRITE, target=written)
    hub = start.hub()
    code, text = check(BIN / "gantry-hub", "model", "add", "--state", hub.state, evil)
    assert code != 0 and (str(written) if place == "load" else "aten::from_file (in forward)") in text, text
    assert not hub.rows("SELECT * FROM model") and not written.exists()


# What links what


@pytest.mark.parametrize("name", ["gantry", "gantry-worker", "gantry-hub", "gantry-decoder"])
def test_only_the_model_process_links_libtorch(name):
    def libraries(program):
        return subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, text=True, check=True).stdout

    assert "libtorch" in libraries(BIN / "gantry-model")
    assert "libtorch" not in libraries(BIN / name)
