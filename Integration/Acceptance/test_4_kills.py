# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of each process at its worst moment: nothing acknowledged is lost, nothing happens twice."""

import threading

from harness.gantry import FINDING, make_phantoms
from harness.orthanc import Sender
from harness.processes import TimedOut, wait_until


def flagged_once(hospital, study, instances):
    """The study has one flag, final, over all its instances."""

    def complete():
        found = hospital.orthanc.study(study.uid)
        flags = found["flags"] if found else []
        return flags and flags[0]["state"] == "final" and flags[0]["instances"]["scored"] == instances and found

    found = wait_until(f"{study.uid} is flagged over {instances} instances", complete, 240)
    assert len(found["flags"]) == 1
    return found


def test_a_worker_killed_while_a_study_arrives_flags_it_once_after_its_restart(start, package, phantoms):
    # No stall of the sender is taken for the end of the study.
    hospital = start.hospital(packages=[package], worker={"quiet_seconds": 5}).start()
    study = phantoms[0]
    sender = Sender(hospital.orthanc, study.files)
    for accepted in sender.responses():
        if accepted == len(study.files) // 2:
            hospital.worker.kill()
    assert sender.child.wait() == 0 and sender.accepted == len(study.files), "a dead worker must not disturb C-STORE"
    assert not hospital.orthanc.final_flags(study.uid)
    hospital.worker.start()
    flagged_once(hospital, study, len(study.files))


def test_a_worker_killed_between_flag_and_acknowledgement_flags_it_once(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    for study in phantoms[:2]:
        hospital.orthanc.send(study.files)
        hospital.wait_for_flags([study.uid])
        hospital.worker.kill()
        hospital.worker.start()
    for study in phantoms[:2]:
        flagged_once(hospital, study, len(study.files))


def test_a_gateway_killed_in_mid_association_flags_everything_it_acknowledged_once(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    # All studies in one association: it is not over before the kill, however late that comes.
    files = [file for study in phantoms for file in study.files]
    sender = Sender(hospital.orthanc, files)
    for accepted in sender.responses():
        if accepted == len(phantoms[0].files) // 2:
            hospital.orthanc.kill()
    sender.child.wait()
    assert len(phantoms[0].files) // 2 <= sender.accepted < len(files)
    hospital.orthanc.start()
    assert hospital.orthanc.instances() >= sender.accepted, "Orthanc lost an instance it had acknowledged"
    stored = {
        study["MainDicomTags"]["StudyInstanceUID"]: len(hospital.orthanc.get(f"/studies/{study['ID']}/instances"))
        for study in hospital.orthanc.get("/studies?expand")}
    for study in phantoms:
        if study.uid in stored:
            flagged_once(hospital, study, stored[study.uid])


def test_both_killed_while_the_worker_was_away_loses_nothing(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    hospital.worker.kill()
    for study in phantoms:
        hospital.orthanc.send(study.files)
    hospital.orthanc.kill()
    hospital.orthanc.start()
    hospital.worker.start()
    for study in phantoms:
        flagged_once(hospital, study, len(study.files))


def test_the_same_study_sent_twice_is_flagged_once(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    study = phantoms[2]
    hospital.orthanc.send(study.files)
    first = flagged_once(hospital, study, len(study.files))
    hospital.orthanc.send(study.files)
    wait_until("the outbox is empty", lambda: hospital.orthanc.waiting() == 0)
    second = flagged_once(hospital, study, len(study.files))
    assert second["flags"][0]["revision"] == first["flags"][0]["revision"]


def test_a_hub_killed_while_deltas_arrive_completes_the_round_without_a_second_contribution(start, package, tmp_path):
    hub = start.hub("--rounds", "2", "--quorum", "2", "--deadline", "120", "--minimum-labels", "3",
                    "--interval", "0")
    hub.add_model(package)
    hub.start()
    hospitals = [start.hospital(f"hospital-{look}", hub=hub, worker={"quiet_seconds": 1}) for look in "ab"]
    for number, hospital in enumerate(hospitals):
        hospital.start()
        hospital.studies = make_phantoms(
            tmp_path / f"studies-{number}", studies=8, seed=70 + number, look="ab"[number], slices=20)
        hospital.approve()
        wait_until("the model has come", hospital.orthanc.live_version, 240)
        for study in hospital.studies:
            hospital.orthanc.send(study.files)

    stop = threading.Event()
    kills = []

    def kill_the_hub_when_deltas_arrive():
        """Whenever a delta has begun to arrive: kill, restart; three times."""
        while not stop.is_set() and len(kills) < 3:
            arrived = hub.rows("SELECT COUNT(*) AS n FROM delta")[0]["n"] if hub.status() else 0
            if arrived > len(kills):
                hub.kill()
                kills.append(arrived)
                hub.start()
            stop.wait(0.01)

    killer = threading.Thread(target=kill_the_hub_when_deltas_arrive)
    killer.start()
    try:
        for hospital in hospitals:
            flags = hospital.wait_for_flags([study.uid for study in hospital.studies])
            for study in hospital.studies:
                shown = flags[study.uid][0]["findings"][0]["positive"]
                hospital.orthanc.review(study.uid, FINDING, "agree" if shown == study.present else "disagree")

        def closed():
            try:
                return hub.rows("SELECT number FROM round WHERE state = 'closed'")
            except OSError:
                return None

        wait_until("two rounds are closed", lambda: len(closed() or []) == 2, 300, interval=0.5)
    except TimedOut:
        print(hub.process.log_text()[-5000:])
        for hospital in hospitals:
            print(hospital.worker.process.log_text()[-5000:])
        raise
    finally:
        stop.set()
        killer.join()
    assert kills, "the hub was never killed"
    contributions = hub.rows("SELECT round, site, COUNT(*) AS n FROM contribution GROUP BY round, site")
    assert len(contributions) == 4 and all(row["n"] == 1 for row in contributions), contributions
