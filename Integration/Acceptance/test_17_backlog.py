# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker that is away or does not answer costs the gateway: a bounded disk, and no memory beyond the window."""

import threading

import pytest
import zmq

from harness.pour import Pour, build_pour
from harness.processes import wait_until

MEGABYTE = 1_048_576
WINDOW_MEGABYTES = 8


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_pour(tmp_path_factory.mktemp("pour"))


class SilentWorker:
    """Takes whatever it gets and never acknowledges it."""

    def __init__(self, endpoint):
        self.received = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.work, args=[endpoint])
        self.thread.start()

    def work(self, endpoint):
        with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
            socket.linger = 0
            socket.bind(endpoint)
            while not self.stopping:
                if not socket.poll(100):
                    continue
                frames = socket.recv_multipart()
                verb = frames[1].partition(b" ")[2]
                if verb == b"hello":
                    socket.send_multipart([frames[0], b"GANTRY1 hello", b"silent", b"silent-1", b"1", b""])
                    socket.send_multipart([frames[0], b"GANTRY1 credit", b"1073741824", b""])
                self.received += verb == b"instance"

    def stop(self):
        self.stopping = True
        self.thread.join()


def test_a_hundred_thousand_instances_without_a_worker_cost_50_megabytes_of_disk_and_no_memory(program, tmp_path, start):
    reports, disks = [], []
    for count in (0, 100_000):
        pour = start.process(Pour(program, tmp_path / str(count), count, 526_000, 15_000))
        reports.append(pour.report())
        disks.append(pour.disk_bytes())
        pour.stop()
    empty, full = reports
    assert full["status"]["outbox"]["waiting"] == 100_000
    assert disks[1] <= 50 * MEGABYTE
    assert full["status"]["in_flight"]["held_bytes"] == 0
    # SQLite's page caches and the queue between hook and courier, which any number of instances shares: less than the
    # bytes of 24 instances.
    assert full["anonymous_kb"] - empty["anonymous_kb"] <= 12 * 1024


def test_a_worker_that_does_not_answer_gets_the_window_and_no_more(program, tmp_path, start):
    pour = start.process(Pour(program, tmp_path / "pour", 1_000, 526_000, 500, WindowMegabytes=WINDOW_MEGABYTES))
    before = pour.report()
    assert before["status"]["outbox"]["waiting"] == 1_000
    worker = start.process(SilentWorker(pour.endpoint))
    fits = WINDOW_MEGABYTES * MEGABYTE // 526_000
    wait_until("the window is full", lambda: worker.received >= fits)
    reports = [pour.report() for _ in range(20)]
    assert worker.received == fits
    assert max(report["status"]["in_flight"]["held_bytes"] for report in reports) <= WINDOW_MEGABYTES * MEGABYTE
    # The window, and as much for what the hook's memory holds ready.
    assert max(report["anonymous_kb"] for report in reports) - before["anonymous_kb"] <= 2 * WINDOW_MEGABYTES * 1024 + 4096


def test_bytes_poured_past_a_worker_that_does_not_answer_stay_within_the_window(program, tmp_path, start):
    folder = tmp_path / "pour"
    folder.mkdir()
    worker = start.process(SilentWorker(f"ipc://{folder}/worker.ipc"))
    pour = start.process(Pour(program, folder, 1_000, 526_000, 500, WindowMegabytes=WINDOW_MEGABYTES))
    report = pour.report()
    assert report["status"]["outbox"]["waiting"] == 1_000
    assert report["status"]["hook"]["with_id_only"] > 900
    assert worker.received <= WINDOW_MEGABYTES * MEGABYTE // 526_000
    assert report["status"]["in_flight"]["held_bytes"] <= WINDOW_MEGABYTES * MEGABYTE
