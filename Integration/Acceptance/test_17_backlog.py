# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker that is away or does not answer costs the gateway: a bounded disk, and no memory beyond the window."""

import pytest

from harness.pour import Pour, build_pour
from harness.processes import ROOT, Process, wait_until

MEGABYTE = 1_048_576
WINDOW_MEGABYTES = 8
INSTANCE_BYTES = 526_000
FITS = WINDOW_MEGABYTES * MEGABYTE // INSTANCE_BYTES


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_pour(tmp_path_factory.mktemp("pour"))


def silent_worker(endpoint, folder):
    """Takes instances and never acknowledges one."""
    return Process(
        "silent", ["/usr/bin/python3", ROOT / "Integration/harness/drain.py", "silent", endpoint], folder / "silent.log")


def test_a_hundred_thousand_instances_without_a_worker_cost_50_megabytes_of_disk_and_no_memory(program, tmp_path, start):
    reports, disks = [], []
    for count in (0, 100_000):
        pour = start.process(Pour(program, tmp_path / str(count), count, INSTANCE_BYTES, 15_000))
        reports.append(pour.report())
        disks.append(pour.disk_bytes())
        pour.stop()
    empty, full = reports
    assert full["status"]["outbox"]["waiting"] == 100_000
    assert disks[1] <= 50 * MEGABYTE
    assert full["status"]["in_flight"]["held_bytes"] == 0
    # SQLite's page caches and the queue between hook and courier fill once, whatever the number of instances: less
    # than the bytes of 24 of them.
    assert full["anonymous_kb"] - empty["anonymous_kb"] <= 12 * 1024


def test_a_backlog_sends_the_window_to_a_worker_that_does_not_answer_and_no_more(program, tmp_path, start):
    pour = start.process(Pour(program, tmp_path / "pour", 1_000, INSTANCE_BYTES, 500, WindowMegabytes=WINDOW_MEGABYTES))
    before = pour.report()
    assert before["status"]["outbox"]["waiting"] == 1_000
    start.process(silent_worker(pour.endpoint, tmp_path)).start()
    wait_until("the window is full", lambda: pour.report()["status"]["in_flight"]["instances"] >= FITS)
    reports = [pour.report() for _ in range(20)]
    assert {report["status"]["in_flight"]["instances"] for report in reports} == {FITS}
    assert max(report["status"]["in_flight"]["held_bytes"] for report in reports) <= WINDOW_MEGABYTES * MEGABYTE
    # The window, and as much that is ready for the hook.
    most = max(report["anonymous_kb"] for report in reports)
    assert most - before["anonymous_kb"] <= (2 * WINDOW_MEGABYTES + 4) * 1024


def test_what_arrives_while_a_worker_does_not_answer_is_kept_as_ids_once_the_window_is_full(program, tmp_path, start):
    folder = tmp_path / "pour"
    folder.mkdir()
    start.process(silent_worker(f"ipc://{folder}/worker.ipc", tmp_path)).start()
    pour = start.process(Pour(program, folder, 1_000, INSTANCE_BYTES, 500, WindowMegabytes=WINDOW_MEGABYTES))
    status = pour.report()["status"]
    assert status["outbox"]["waiting"] == 1_000
    assert status["hook"]["with_bytes"] <= FITS
    assert status["hook"]["with_id_only"] >= 1_000 - FITS
    assert status["in_flight"]["held_bytes"] <= WINDOW_MEGABYTES * MEGABYTE
