# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken instances: each ends with a named reason, no process ends, and healthy studies among them are flagged."""

import os
import signal
from pathlib import Path

import pytest

from Corpus.feeding import Corpus, check_outcomes, feed_gateway, feed_worker, peak_megabytes, send_healthy, table
from Corpus.mutator import frames
from harness.gantry import Worker, taking_everything
from harness.handover import ScriptedGateway
from harness.processes import wait_until

SEED = 20261122


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(tmp_path_factory.mktemp("corpus"), SEED, flips=3)


@pytest.fixture
def worker(start, package, tmp_path):
    """A worker that takes every modality, and its endpoint."""
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    worker = start.process(Worker(
        "worker", tmp_path / "worker", endpoint, packages=[taking_everything(package, tmp_path / "package")],
        settings={"instance_megabytes": 100, "decode_megabytes": 1024, "decode_seconds": 8,
                  "quiet_seconds": 1}))
    worker.endpoint = endpoint
    worker.start()
    return worker


@pytest.fixture
def gateway(start, worker):
    return start.process(ScriptedGateway(worker.endpoint))


def decoders(worker):
    """The process ids of a worker's decoders that have started."""
    pid = worker.process.child.pid
    children = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return [child for child in children if has_started(child)]


def has_started(decoder):
    """Sealed is the last that a decoder becomes before it says that it is ready."""
    try:
        status = Path(f"/proc/{decoder}/status").read_text()
        return status.startswith("Name:\tgantry-decoder") and "Seccomp:\t2" in status
    except OSError:
        return False


def test_a_worker_takes_every_broken_instance_and_goes_on(worker, gateway, corpus):
    large = corpus.native.with_own_uid(9_000_001)
    extra = [
        ("many-frames", frames(large, 1000, 8)),
        ("larger-than-allowed", frames(large.with_own_uid(9_000_002), 1000, 250)),
    ]
    outcomes = feed_worker(gateway, corpus, extra)
    print(f"seed {SEED}, {len(outcomes)} broken instances\n{table(outcomes)}")
    check_outcomes(outcomes)
    assert outcomes["many-frames"][0] == "scored", outcomes["many-frames"]
    assert outcomes["larger-than-allowed"][2].startswith("too-large"), outcomes["larger-than-allowed"]
    assert worker.process.running
    print(f"decoders replaced: {gateway.status.get('decoder_failures')}; peak {peak_megabytes(worker.process)} MB")
    assert peak_megabytes(worker.process) < 1500


def test_a_gateway_and_its_worker_take_what_the_gateway_stores(start, package, corpus, tmp_path):
    hospital = start.hospital(
        packages=[taking_everything(package, tmp_path / "package")], worker={"quiet_seconds": 1}).start()
    hospital.orthanc.send(corpus.healthy[0].files)
    by_rest, by_dicom = feed_gateway(hospital.orthanc, corpus)
    hospital.orthanc.send(corpus.healthy[2].files)
    hospital.wait_for_flags([corpus.healthy[0].uid, corpus.healthy[2].uid])
    print(f"seed {SEED}, {len(corpus.mutants)} broken instances: Orthanc stored {by_rest} by REST, {by_dicom} by C-STORE")
    assert by_rest > 100 and by_dicom > 20
    assert hospital.orthanc.process.running and hospital.worker.process.running


@pytest.mark.parametrize("fault, name", [(signal.SIGSEGV, "decoder-died"), (signal.SIGSTOP, "decoder-hung")])
def test_a_decoder_that_is_killed_or_hangs_is_replaced_and_costs_no_study(worker, gateway, corpus, fault, name):
    send_healthy(gateway, corpus.healthy[0])
    number = 9_100_000

    def is_counted():
        nonlocal number
        number += 1
        for decoder in decoders(worker)[:1]:
            os.kill(decoder, fault)
        gateway.instance(corpus.native.with_own_uid(number).bytes())
        gateway.take(100)
        return gateway.status.get("decoder_failures", {}).get(name)

    wait_until(f"{name} is counted", is_counted, 120, interval=1)
    send_healthy(gateway, corpus.healthy[1])
    gateway.wait_for_acks()
    for outcome, study, reason in gateway.acks.values():
        assert outcome == "scored" or (study and reason.startswith("decoder-")), (outcome, reason)
    gateway.wait("final flags", lambda: all(gateway.final_flag(study.uid) for study in corpus.healthy[:2]))
    assert gateway.final_flag(corpus.healthy[1].uid)["instances"]["scored"] == len(corpus.healthy[1].files)
    wait_until("both decoders run", lambda: len(decoders(worker)) == 2)
    assert worker.process.running


def test_decoders_end_with_their_worker(worker):
    wait_until("the decoders run", lambda: len(decoders(worker)) == 2)
    children = decoders(worker)
    worker.kill()
    wait_until("the decoders have ended", lambda: not any(os.path.exists(f"/proc/{child}/exe") for child in children))
