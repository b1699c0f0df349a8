# SPDX-License-Identifier: GPL-3.0-or-later
"""A real head CT, as it arrives: JPEG Lossless, a missing slice, no frame of reference, and a stray slice."""

import re

import pytest

from harness.processes import SHARED_DATA, wait_until

HEAD_CT = SHARED_DATA / "head_ct"


@pytest.mark.skipif(not HEAD_CT.is_dir(), reason=f"{HEAD_CT} is not there")
def test_a_real_head_ct_is_stored_and_flagged_once(start, package):
    hospital = start.hospital(packages=[package]).start()
    files = sorted(HEAD_CT.glob("*.dcm"))
    accepted, _ = hospital.orthanc.send(files)
    assert accepted == len(files) == 239
    assert hospital.orthanc.instances() == 239

    def scored():
        """How many instances each final flag is about; an association that stalls is flagged before its end, and revised."""
        return sorted(row["instances"]["scored"] for row in hospital.orthanc.worklist() if row["state"] == "final")

    wait_until("both studies are flagged over all their instances", lambda: scored() == [1, 238], 240)
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0)
    for row in hospital.orthanc.worklist():
        study = hospital.orthanc.study(row["study"])
        assert len(study["flags"]) == 1
        assert study["flags"][0]["state"] == "final" and study["flags"][0]["instances"]["set_aside"] == 0
    assert scored() == [1, 238]

    assert not re.findall(r"^E\d{4} .*", hospital.orthanc.process.log_text(), re.MULTILINE)
    worker_log = hospital.worker.process.log_text()
    assert " error " not in worker_log and " critical " not in worker_log, worker_log
