# SPDX-License-Identifier: GPL-3.0-or-later
"""Several workers at one gateway, and several gateways at one worker."""

import pytest

from harness.gantry import Worker
from harness.orthanc import Orthanc, Sender
from harness.processes import wait_until


class TwoWorkers:
    """A gateway with two workers."""

    def __init__(self, start, folder, package, fail_over_seconds):
        self.endpoints = [f"ipc://{folder}/w{number}.ipc" for number in (1, 2)]
        self.gateway = start.process(Orthanc("hospital", folder / "orthanc", gantry={
            "Workers": self.endpoints, "FailOverSeconds": fail_over_seconds}))
        self.workers = [
            start.process(Worker(
                f"worker-{number}", folder / f"worker-{number}", endpoint, [package],
                settings={"threads": 1, "memory_megabytes": 64}))
            for number, endpoint in enumerate(self.endpoints, 1)]

    def start(self):
        for worker in self.workers:
            worker.start()
        self.gateway.start()
        self.wait_for_workers(2)
        return self

    def wait_for_workers(self, count):
        def there():
            workers = self.gateway.get("/gantry/status")["workers"]
            return sum(worker["connected"] and worker["credit_bytes"] > 0 for worker in workers) == count

        wait_until(f"{count} workers take instances", there)

    def flagged(self, study, seconds=240):
        """The study as the gateway shows it once it has a final flag over all its instances."""

        def complete():
            found = self.gateway.study(study.uid)
            flags = found["flags"] if found else []
            return flags and all(
                flag["state"] == "final" and flag["instances"]["scored"] == len(study.files) for flag in flags) and found

        found = wait_until(f"{study.uid} is flagged over {len(study.files)} instances", complete, seconds)
        assert len(found["flags"]) == 1, found["flags"]
        return found

    def scored_by(self, worker, study):
        rows = worker.rows(
            "SELECT COUNT(*) AS n FROM instance WHERE study_instance_uid = ? AND outcome = 'scored'", study.uid)
        return rows[0]["n"]


@pytest.fixture
def pair(start, tmp_path, package):
    return lambda fail_over_seconds=30: TwoWorkers(start, tmp_path / "pair", package, fail_over_seconds).start()


def test_each_study_goes_to_one_of_two_workers_and_both_are_used(pair, phantoms):
    pair = pair()
    senders = [Sender(pair.gateway, study.files) for study in phantoms]
    for sender in senders:
        sender.finish()
    for study in phantoms:
        pair.flagged(study)
    shares = [[pair.scored_by(worker, study) for worker in pair.workers] for study in phantoms]
    for study, share in zip(phantoms, shares):
        assert sorted(share) == [0, len(study.files)], f"a study was split: {shares}"
    assert all(any(share[index] for share in shares) for index in (0, 1)), f"one worker did nothing: {shares}"


def test_when_a_worker_dies_for_good_its_study_goes_whole_to_the_other(pair, phantoms):
    pair = pair(fail_over_seconds=2)
    study = phantoms[0]
    dead = None
    sender = Sender(pair.gateway, study.files)
    for accepted in sender.responses():
        if accepted == len(study.files) // 2:
            counts = wait_until(
                "one worker has begun",
                lambda: (lambda found: any(found) and found)([pair.scored_by(worker, study) for worker in pair.workers]))
            dead = counts.index(max(counts))
            pair.workers[dead].kill()
    sender.finish()
    pair.flagged(study)
    other = pair.workers[1 - dead]
    assert pair.scored_by(other, study) == len(study.files)
    first = pair.gateway.final_flags(study.uid)[0]
    # The dead one returns with half of the study: nothing is flagged twice, nothing changes.
    pair.workers[dead].start()
    pair.wait_for_workers(2)
    late = phantoms[1]
    pair.gateway.send(late.files)
    pair.flagged(late)
    wait_until("the outbox is empty", lambda: pair.gateway.waiting() == 0)
    flags = pair.gateway.study(study.uid)["flags"]
    assert len(flags) == 1 and flags[0]["instances"]["scored"] == len(study.files)
    assert flags[0]["revision"] == first["revision"]


def test_a_worker_that_comes_back_in_time_keeps_its_study(pair, phantoms):
    pair = pair(fail_over_seconds=300)
    study = phantoms[2]
    half = len(study.files) // 2
    pair.gateway.send(study.files[:half])
    counts = wait_until(
        "one worker has scored the first half",
        lambda: (lambda found: sum(found) == half and found)([pair.scored_by(worker, study) for worker in pair.workers]))
    assert sorted(counts) == [0, half], counts
    wait_until("the first half is acknowledged", lambda: pair.gateway.waiting() == 0)
    owner = counts.index(half)
    pair.workers[owner].kill()
    pair.wait_for_workers(1)
    pair.gateway.send(study.files[half:])
    # The other worker is free and takes new studies meanwhile, but not this one.
    pair.gateway.send(phantoms[3].files)
    pair.flagged(phantoms[3])
    wait_until("the rest waits in the outbox", lambda: pair.gateway.waiting() == len(study.files) - half)
    pair.workers[owner].start()
    pair.flagged(study)
    assert pair.scored_by(pair.workers[owner], study) == len(study.files)
    assert pair.scored_by(pair.workers[1 - owner], study) == 0


def test_one_worker_serves_two_gateways_that_hold_the_same_study(start, tmp_path, package, phantoms):
    endpoint = f"ipc://{tmp_path}/shared.ipc"
    worker = start.process(Worker("worker", tmp_path / "worker", endpoint, [package]))
    gateways = [
        start.process(Orthanc(f"gateway-{name}", tmp_path / name, gantry={"Workers": [endpoint]})) for name in "ab"]
    worker.start()
    for gateway in gateways:
        gateway.start()
    shared, last = phantoms[3], phantoms[0]
    senders = [Sender(gateway, shared.files) for gateway in gateways]
    for sender in senders:
        sender.finish()
    for gateway in gateways:
        flags = wait_until(f"{gateway.name} shows the flag", lambda: gateway.final_flags(shared.uid), 240)
        assert len(flags) == 1 and flags[0]["instances"]["scored"] == len(shared.files)
    # The credit is shared: neither gateway may fill the worker's memory alone.
    wait_until("each has half of the credit", lambda: [
        gateway.get("/gantry/status")["workers"][0]["credit_bytes"] for gateway in gateways] == 2 * [(256 << 20) // 2])
    # A review at one gateway is a label there alone.
    gateways[0].review(shared.uid, "intracranial-haemorrhage", "agree")
    wait_until(
        "the label is kept", lambda: worker.rows("SELECT gateway FROM label") == [{"gateway": "gateway-a"}])
    # One gateway dies in the middle of a study; the other is served.
    dying = Sender(gateways[0], last.files)
    for accepted in dying.responses():
        if accepted == len(last.files) // 2:
            gateways[0].kill()
    dying.child.wait()
    wait_until(
        "the dead one's credit goes to the other",
        lambda: gateways[1].get("/gantry/status")["workers"][0]["credit_bytes"] == 256 << 20)
    gateways[1].send(last.files)
    assert len(wait_until("the other is served", lambda: gateways[1].final_flags(last.uid), 240)) == 1
    gateways[0].start()
    gateways[0].send(last.files)

    def whole():
        flags = gateways[0].final_flags(last.uid)
        return flags and flags[0]["instances"]["scored"] == len(last.files) and flags

    assert len(wait_until("and so is the first when it is back", whole, 240)) == 1
