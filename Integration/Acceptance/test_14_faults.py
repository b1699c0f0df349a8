# SPDX-License-Identifier: GPL-3.0-or-later
"""The torture run of Integration/Faults, short: with Orthanc, with the other host, and with an account that must fail."""

import json
import subprocess

from harness.processes import ROOT


def torture(folder, *options):
    """A run with everything under `folder`; gives its exit status, its account and what it printed."""
    folder.mkdir()
    done = subprocess.run(
        ["/usr/bin/python3", ROOT / "Integration/Faults/torture.py", "--folder", folder / "run",
         "--result", folder / "account.json", *map(str, options)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400)
    file = folder / "account.json"
    assert file.exists(), f"there is no account:\n{done.stdout[-6000:]}"
    print(done.stdout[-6000:])
    return done.returncode, json.loads(file.read_text()), done.stdout


def test_25_faults_with_orthanc_lose_nothing_and_do_nothing_twice(tmp_path):
    status, account, _ = torture(tmp_path / "faults", "--faults", 25, "--seed", 14)
    assert (account["lost"], account["twice"], account["problems"]) == (0, 0, [])
    assert sum(account["faults"].values()) == 25
    assert account["flagged"] == account["studies"] > 20
    assert account["acknowledged"] > 100
    assert status == 0


def test_10_faults_with_the_other_host_lose_nothing_and_do_nothing_twice(tmp_path):
    status, account, _ = torture(tmp_path / "faults", "--faults", 10, "--seed", 15, "--host", "archive")
    assert (account["lost"], account["twice"], account["problems"]) == (0, 0, [])
    assert account["flagged"] == account["studies"] > 10
    assert status == 0


def test_faults_leave_one_report_and_one_key_image_of_each_study_in_the_archive(tmp_path):
    kinds = "kill-both,cut-worker-wal,corrupt-worker,cut-gateway-wal,corrupt-gateway,late-instance"
    status, account, _ = torture(
        tmp_path / "faults", "--faults", 6, "--seed", 17, "--senders", 1, "--kinds", kinds, "--results")
    assert (account["lost"], account["twice"], account["objects_again"], account["problems"]) == (0, 0, 0, [])
    assert account["told"] == account["flagged"] == account["studies"] > 3
    assert status == 0


def test_the_account_sees_a_flag_that_is_gone_one_instance_that_is_missing_and_a_flag_too_many(tmp_path):
    status, account, printed = torture(
        tmp_path / "faults", "--faults", 2, "--seed", 16, "--kinds", "kill-worker,same-study-again",
        "--tamper", "flag,count,twice")
    assert status == 1
    without_flag, without_instance, with_second = account["bad"].values()
    assert without_flag[1] == without_flag[0] > 0
    assert without_instance[1:] == [1, 0]
    assert with_second[1:] == [0, 1]
    assert account["lost"] == without_flag[0] + 1 and account["twice"] == 1
    assert "again: Integration/Faults/run --faults 2 --seed 16" in printed
