# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator can get wrong, and what the gateway does then."""

import urllib.error

import pytest

from harness.processes import wait_until


def test_bad_settings_are_one_log_line_each_and_the_gateway_starts(start):
    hospital = start.hospital(gantry={"WindowMegabytes": "lots", "Colour": "blue"})
    hospital.orthanc.start()
    lines = [line for line in hospital.orthanc.process.log_text().splitlines() if "etting" in line and "Gantry" in line]
    assert len(lines) == 2, lines
    assert any("Setting WindowMegabytes = “lots” is not allowed" in line and "default, 64" in line for line in lines)
    assert any("Unknown setting “Colour” = “blue”" in line for line in lines)
    assert hospital.orthanc.waiting() == 0


def test_a_gateway_without_a_worker_stores_everything_and_hands_it_over_later(start, package, phantoms):
    hospital = start.hospital(packages=[package])
    hospital.orthanc.start()
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    # The hook answers before the outbox has committed.
    wait_until("all wait in the outbox", lambda: hospital.orthanc.waiting() == len(study.files))
    hospital.orthanc.stop()
    hospital.orthanc.start()
    hospital.worker.start()
    hospital.wait_for_flags([study.uid])


def test_rest_answers_wrong_requests_with_the_right_status(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    study = phantoms[3]
    hospital.orthanc.send(study.files)
    hospital.wait_for_flags([study.uid])

    def status_of(call):
        with pytest.raises(urllib.error.HTTPError) as error:
            call()
        return error.value.code

    review = hospital.orthanc.review
    assert status_of(lambda: hospital.orthanc.get("/gantry/studies/1.2.3.4")) == 404
    assert status_of(lambda: review("1.2.3.4", "intracranial-haemorrhage", "agree")) == 404
    assert status_of(lambda: review(study.uid, "intracranial-haemorrhage", "perhaps")) == 400
    assert status_of(lambda: review(study.uid, "no-such-finding", "agree")) == 400
    assert status_of(lambda: hospital.orthanc.post("/gantry/worklist", {})) == 405
