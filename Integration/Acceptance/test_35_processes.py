# SPDX-License-Identifier: GPL-3.0-or-later
"""What reads bytes of strangers for a worker has nothing of the worker: seen from outside, on the running product."""

import os
import signal
from pathlib import Path

import pytest

from harness.gantry import Worker, make_phantoms
from harness.handover import ScriptedGateway
from harness.processes import BIN, run, wait_until

SECRET = "s3cret-of-the-hospital"
LAYERS = {"seccomp", "limits", "landlock", "mounts", "network", "ipc", "user"}


@pytest.fixture
def worker(start, package, tmp_path):
    """A worker with a secret in its environment, and its endpoint."""
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    worker = start.process(Worker("worker", tmp_path / "worker", endpoint, packages=[package]))
    worker.process.environment |= {"DATABASE_PASSWORD": SECRET, "HOME": "/root", "LD_LIBRARY_PATH": "/nowhere"}
    worker.endpoint = endpoint
    worker.start()
    return worker


@pytest.fixture
def gateway(start, worker):
    return start.process(ScriptedGateway(worker.endpoint))


def confined(worker):
    """The processes that the worker has started and that say that they are ready, by id and with their names."""
    pid = worker.process.child.pid
    children = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                name = Path(f"/proc/{child}/comm").read_text().strip()
                if name != "gantry-worker" and "Seccomp:\t2" in Path(f"/proc/{child}/status").read_text():
                    children[int(child)] = name
        except OSError:
            pass
    return children


def status_of(pid, task=None):
    place = f"/proc/{pid}/task/{task}/status" if task else f"/proc/{pid}/status"
    return dict(line.split(":\t", 1) for line in Path(place).read_text().splitlines() if ":\t" in line)


def all_confined(worker):
    def both_decoders():
        children = confined(worker)
        return sum(name == "gantry-decoder" for name in children.values()) == 2 and children

    return wait_until("both decoders are confined", both_decoders)


def test_what_decodes_has_nothing_of_the_worker(worker, gateway):
    children = all_confined(worker)
    gateway.wait("the worker says what confines its decoders", lambda: gateway.status.get("sandbox"))
    in_force = set(gateway.status["sandbox"]["in_force"])
    print(f"in force: {sorted(in_force)}; processes: {children}")
    assert in_force >= {"seccomp", "limits"}
    assert in_force | set(gateway.status["sandbox"]["missing"]) == LAYERS
    for pid, name in children.items():
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1", name
        assert all(status_of(pid, task)["Seccomp"] == "2" for task in os.listdir(f"/proc/{pid}/task")), name
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[capabilities], 16) == 0, (name, capabilities)
        assert os.getpgid(pid) == pid, name
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000", name

        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert SECRET.encode() not in environment, name
        variables = {text.split(b"=")[0].decode() for text in environment.split(b"\0") if text}
        assert not variables & {"HOME", "PATH", "USER", "LD_LIBRARY_PATH", "LD_PRELOAD"}, (name, variables)
        assert "SWIFT_BACKTRACE=enable=no" in environment.decode(), name

        targets = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert len(targets) <= 8 and max(targets) < 9, (name, targets)
        for fd, target in targets.items():
            assert target == "/dev/null" or target.startswith(("pipe:", "socket:", "/memfd:")), (name, fd, target)
        assert sum(target.startswith("socket:") for target in targets.values()) == 1, (name, targets)

        limits = Path(f"/proc/{pid}/limits").read_text()
        for what, most in [("Max core file size", 0), ("Max file size", 0), ("Max open files", 9),
                           ("Max locked memory", 0), ("Max msgqueue size", 0)]:
            assert limits.split(what)[1].split()[:2] == [str(most)] * 2, (name, what, limits)
        assert limits.split("Max data size")[1].split()[0] != "unlimited", name

        worker_pid = worker.process.child.pid
        for layer, kind in [("network", "net"), ("mounts", "mnt"), ("ipc", "ipc")]:
            if layer in in_force:
                assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/{worker_pid}/ns/{kind}"), (name, kind)
        if "network" in in_force:
            interfaces = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
            assert [line.split(":")[0].strip() for line in interfaces] == ["lo"], name
        if "user" in in_force:
            assert status["Uid"].split()[0] not in {"0", status_of(worker_pid)["Uid"].split()[0]}, name
            assert status["Groups"].strip() == "", name
        else:
            assert os.geteuid() != 0, "root can give a process a user of its own"


def test_a_decoder_sees_no_files(worker, gateway):
    children = all_confined(worker)
    gateway.wait("the worker says what confines its decoders", lambda: gateway.status.get("sandbox"))
    if "mounts" not in gateway.status["sandbox"]["in_force"]:
        pytest.skip("no mount namespaces here")
    for pid, name in children.items():
        if name == "gantry-decoder":
            assert os.listdir(f"/proc/{pid}/root/") == [], name


def test_the_log_says_which_layers_there_are(worker):
    all_confined(worker)
    wait_until("the layers are logged", lambda: "decoders are confined by seccomp, limits" in worker.process.log_text())
    assert worker.process.log_text().count("decoders are confined by") == 1


def test_what_is_confined_reads_images_and_documents_of_every_syntax(worker, gateway, tmp_path):
    for number, syntax in enumerate(["explicit-le", "jpeg-lossless", "jpeg-ls", "jpeg2000", "rle"]):
        studies = make_phantoms(tmp_path / syntax, studies=1, seed=40 + number, slices=4, transfer_syntax=syntax)
        for file in studies[0].files:
            gateway.instance(Path(file).read_bytes())
    gateway.wait_for_acks()
    assert [outcome for outcome, _, _ in gateway.acks.values()] == ["scored"] * 20, gateway.acks
    assert gateway.status.get("decoder_failures", {}) == {}


def test_a_worker_that_crashes_shows_no_memory(worker):
    worker.stop()
    worker.process.environment["SWIFT_BACKTRACE"] = "enable=yes,color=no"
    worker.start()
    all_confined(worker)
    os.kill(worker.process.child.pid, signal.SIGSEGV)
    wait_until("the worker has ended", lambda: not worker.process.running)
    said = worker.process.log_text()
    assert not any(word in said for word in ("Registers:", "crashed:", "Images ("))


def test_a_setting_that_is_none_is_refused_by_name(tmp_path):
    file = tmp_path / "worker.json"
    file.write_text('{"state": "state", "sandbox": "off"}')
    said = run(BIN / "gantry-worker", "run", "--config", file, check=False)
    assert "sandbox" in said and "required or reduced" in said


def test_a_program_that_no_worker_started_says_so():
    said = run(BIN / "gantry-decoder", "4096", "4096", "4096", "required", check=False)
    assert "started by gantry-worker" in said
