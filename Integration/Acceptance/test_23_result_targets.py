# SPDX-License-Identifier: GPL-3.0-or-later
"""Results go to other DICOM nodes by C-STORE, whatever is down meanwhile."""

import socket
import urllib.request

from harness.gantry import read_rows
from harness.processes import Process, free_port, run, wait_until
from harness.prometheus import read


class Node:
    """A storage SCP of DCMTK that writes what it gets into a folder."""

    def __init__(self, folder):
        self.folder = folder / "received"
        self.folder.mkdir()
        self.port = free_port()
        self.process = Process(
            "node", ["/usr/bin/storescp", "-od", self.folder, "-aet", "PACS", self.port], folder / "node.log")

    def start(self):
        self.process.start()
        return self

    def stop(self):
        return self.process.stop()

    def received(self):
        """SOPInstanceUIDs of what came."""
        dump = run("/usr/bin/dcmdump", "-q", "+P", "0008,0018", "+p", *sorted(self.folder.iterdir()), check=False) \
            if any(self.folder.iterdir()) else ""
        return [line.split("[", 1)[1].split("]", 1)[0] for line in dump.splitlines() if "[" in line]


def target(hospital, name):
    return next(each for each in hospital.orthanc.get("/gantry/status")["result_targets"] if each["target"] == name)


def stored(hospital, study):
    found = hospital.orthanc.study(study.uid) or {}
    return [result["object"] for result in found.get("results", []) if result["state"] == "stored"]


def test_results_reach_a_node_that_was_down_also_after_a_restart_of_the_gateway(start, package, phantoms, tmp_path):
    node = start.process(Node(tmp_path))
    hospital = start.hospital(
        packages=[package], worker={"results": "every", "resend_seconds": 1},
        gantry={"ResultTargets": ["pacs", "nowhere"]},
        orthanc={"DicomModalities": {"pacs": ["PACS", "127.0.0.1", node.port]}}).start()
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    objects = wait_until("two objects are stored", lambda: len(stored(hospital, study)) == 2 and stored(hospital, study), 240)
    down = wait_until("the node is found to be down", lambda: (
        target(hospital, "pacs")["reason"] and target(hospital, "pacs")), 240)
    assert (down["due"], down["sent"]) == (2, 0) and down["failed_attempts"]
    unknown = wait_until("the unknown name is noticed", lambda: (
        target(hospital, "nowhere")["reason"] and target(hospital, "nowhere")), 240)
    assert unknown["due"] == 2 and "no modality of this name" in unknown["reason"]

    hospital.orthanc.kill()
    hospital.orthanc.start()
    node.start()
    wait_until("both are sent", lambda: target(hospital, "pacs")["sent"] == 2, 240)
    assert sorted(node.received()) == sorted(objects)
    wait_until("nothing is wrong with it any more", lambda: target(hospital, "pacs")["reason"] is None, 240)
    assert target(hospital, "pacs")["due"] == 0

    other = phantoms[1]
    hospital.orthanc.send(other.files)
    wait_until("the next ones follow", lambda: target(hospital, "pacs")["sent"] == 4, 240)
    assert sorted(node.received()) == sorted(objects + stored(hospital, other))
    # The name that does not exist is tried once in ten minutes, with one line before and one after the restart.
    def said():
        return sum("cannot be sent to nowhere" in line for line in hospital.orthanc.process.log_text().splitlines())

    wait_until("it is said after the restart", lambda: said() >= 2, 240)
    assert said() == 2
    assert target(hospital, "nowhere")["failed_attempts"] <= 2

    def metrics():
        with urllib.request.urlopen(hospital.orthanc.url + "/gantry/metrics", timeout=30) as answer:
            return read(answer.read().decode())

    wait_until("the metrics have been counted", lambda: metrics()['gantry_result_sends{target="pacs",state="sent"}'] == 4, 240)
    counted = wait_until("the failure has been counted", lambda: [
        found for found in [metrics()] if found['gantry_result_send_failures_total{target="nowhere"}'] >= 1], 240)[0]
    assert counted['gantry_result_sends{target="nowhere",state="due"}'] == 4
    assert counted['gantry_results{state="stored"}'] == 4


def test_a_node_that_never_answers_holds_up_neither_the_next_study_nor_the_end_of_the_gateway(start, package, phantoms):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(240)
        hospital = start.hospital(
            packages=[package], worker={"results": "every", "resend_seconds": 1}, gantry={"ResultTargets": ["silent"]},
            orthanc={"DicomModalities": {"silent": ["SILENT", "127.0.0.1", silent.getsockname()[1]]}}).start()
        hospital.orthanc.send(phantoms[2].files)
        # The C-STORE is under way, and stays so.
        connection, _ = silent.accept()
        with connection:
            hospital.orthanc.send(phantoms[3].files)
            wait_until("both studies have their objects", lambda: all(
                len(stored(hospital, study)) == 2 for study in phantoms[2:4]), 240)
            assert hospital.orthanc.process.stop(240) == 0
    # Nothing is lost by it.
    rows = read_rows(hospital.orthanc.folder / "gantry" / "gateway.sqlite",
                     "SELECT state, count(*) AS n FROM result_send GROUP BY state")
    assert rows == [{"state": "due", "n": 4}]
