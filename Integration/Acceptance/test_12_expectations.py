# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PACS administrator expects of a plugin: ten expectations, a test each, and the routing rules."""

import base64
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

from harness import prometheus
from harness.gantry import FINDING
from harness.orthanc import Orthanc, Sender
from harness.processes import LIBRARY, ROOT, run, wait_until


def answer(url, method="GET", body=None, headers=None):
    """(status, headers, body) of a request, whatever the status; redirects are not followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments):
            return None

    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=60) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def orthanc_metrics(orthanc):
    """Orthanc's own list, strictly read. It has no types."""
    return prometheus.read(answer(orthanc.url + "/tools/metrics-prometheus")[2].decode(), typed=False)


def plugin_lines(orthanc):
    """Gantry's own lines in Orthanc's log."""
    return [line for line in orthanc.process.log_text().splitlines() if "Gantry" in line]


# 1

def test_1_one_library_and_one_section_with_enable(start, phantoms):
    hospital = start.hospital(gantry={"Enable": False})
    orthanc = hospital.orthanc.start()
    assert json.loads(orthanc.configuration_file.read_text())["Plugins"] == [str(LIBRARY)]
    assert sum("Gantry is switched off (setting Enable)" in line for line in plugin_lines(orthanc)) == 1
    assert answer(orthanc.url + "/gantry/status")[0] == 404
    orthanc.send(phantoms[0].files[:2])
    assert not (orthanc.folder / "gantry").exists()
    assert not any(name.startswith("gantry") for name in orthanc_metrics(orthanc))
    assert b"gantry" not in answer(orthanc.url + "/plugins/explorer.js")[2].lower()
    assert orthanc.stop() == 0


# 2

@pytest.fixture(scope="module")
def play_orthanc(tmp_path_factory):
    """Loads the plugin into something that says it is a certain version of Orthanc; gives what the plugin did."""
    folder = tmp_path_factory.mktemp("versions")
    program = folder / "versions"
    run("gcc", "-Wall", "-Wextra", "-Werror", "-o", program, ROOT / "Integration" / "Hosts" / "versions.c", "-ldl")

    def play(version):
        done = subprocess.run(
            [program, LIBRARY, version], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 0
        return done.stdout.splitlines()

    return play


@pytest.mark.parametrize("version", ["1.9.7", "1.10.0", "0.8.6"])
def test_2_an_older_orthanc_is_told_in_one_line_and_starts_without_it(play_orthanc, version):
    assert play_orthanc(version) == [
        "log Gantry needs Orthanc 1.10.1 or newer. It stays off; Orthanc runs without it.", "result 0"]


@pytest.mark.parametrize("version", ["1.10.1", "1.11.3", "1.12.9", "mainline"])
def test_2_a_newer_orthanc_is_taken(play_orthanc, version):
    lines = play_orthanc(version)
    assert lines[-1] == "result 0"
    # The hook for stored instances (1001), changes (1003) and REST without locks (1004).
    assert {"service 1001", "service 1003", "service 1004"} <= set(lines)


# 3

def test_3_c_store_never_waits_for_the_database_or_the_worker(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    orthanc = hospital.orthanc
    wait_until("the worker is there", lambda: orthanc.get("/gantry/status")["workers"][0]["connected"])
    worker = hospital.worker.process.child
    database = sqlite3.connect(orthanc.folder / "gantry" / "gateway.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    worker.send_signal(signal.SIGSTOP)
    try:
        for study in phantoms[:2]:
            orthanc.send(study.files)
        assert orthanc.instances() == sum(len(study.files) for study in phantoms[:2])
    finally:
        database.execute("ROLLBACK")
        database.close()
        worker.send_signal(signal.SIGCONT)
    hospital.wait_for_flags([study.uid for study in phantoms[:2]])


# 4

def test_4_a_worker_that_is_down_is_harmless(start, phantoms):
    hospital = start.hospital()
    orthanc = hospital.orthanc.start()
    for study in phantoms[:2]:
        orthanc.send(study.files)
    sent = sum(len(study.files) for study in phantoms[:2])
    wait_until("all wait in the outbox", lambda: orthanc.waiting() == sent)
    status = orthanc.get("/gantry/status")
    assert status["in_flight"]["held_bytes"] == 0
    assert status["refusal"] == {"after_seconds": 0, "refuses": False, "instances": 0}


def test_4_instances_are_refused_with_a700_only_when_the_administrator_wants_that(start, package, phantoms):
    hospital = start.hospital(packages=[package], gantry={"RefuseWithoutWorkerSeconds": 1})
    orthanc = hospital.orthanc.start()
    study = phantoms[0]
    wait_until("nothing is accepted", lambda: orthanc.get("/gantry/status")["refusal"]["refuses"])
    sender = Sender(orthanc, study.files[:1])
    assert sender.finish(check=False)[0] == 0
    assert re.search(r"Received Store Response.*(A700|OutOfResources|Out of Resources)", "".join(sender.lines), re.I), \
        "".join(sender.lines)
    assert orthanc.instances() == 0
    assert orthanc_metrics(orthanc)["gantry_refusals_total_no_worker"] == 1
    hospital.worker.start()
    wait_until("instances are accepted again", lambda: not orthanc.get("/gantry/status")["refusal"]["refuses"])
    orthanc.send(study.files)
    hospital.wait_for_flags([study.uid])
    wait_until("the end is logged", lambda: any("accepted again" in line for line in plugin_lines(orthanc)))
    lines = plugin_lines(orthanc)
    assert sum("new instances are refused" in line for line in lines) == 1
    assert sum("accepted again; 1 were refused" in line for line in lines) == 1


# 5

def identifiers(files):
    """Everything in the files that says who the patient is or names a study, series or instance."""
    tags = ["0010,0010", "0010,0020", "0010,0030", "0008,0050", "0020,000d", "0020,000e", "0008,0018"]
    options = [part for tag in tags for part in ("+P", tag)]
    dump = run("/usr/bin/dcmdump", "-q", "-Un", "+L", *options, *files)
    return {value.strip() for value in re.findall(r"\[([^\]]+)\]", dump) if len(value.strip()) > 3}


def test_5_the_log_holds_no_patient_data_at_any_level(start, package, phantoms, tmp_path):
    hospital = start.hospital(packages=[package])
    hospital.orthanc.process.command.insert(1, "--trace")
    hospital.start()
    orthanc = hospital.orthanc
    studies = phantoms[:2]
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(studies[0].files[3].read_bytes()[:-1000])
    for study in studies:
        orthanc.send(study.files)
    answer(orthanc.url + "/instances", "POST", broken.read_bytes())
    flags = hospital.wait_for_flags([study.uid for study in studies])
    assert flags
    orthanc.review(studies[0].uid, FINDING, "agree")
    answer(f"{orthanc.url}/gantry/studies/{studies[0].uid}/review", "POST", b"{",
           {"Content-Type": "application/json", "Origin": orthanc.url, **orthanc.headers()})
    hospital.worker.kill()
    orthanc.send(studies[0].files)
    orthanc.kill()
    database = orthanc.folder / "gantry" / "gateway.sqlite"
    for file in database.parent.glob("gateway.sqlite*"):
        file.unlink()
    database.write_bytes(b"not a database at all" * 1000)
    orthanc.start()
    hospital.worker.start()
    wait_until("all is handed over again", lambda: orthanc.get("/gantry/status")["archive"]["found_in_log"] > 0)
    wait_until("nothing waits", lambda: orthanc.waiting() == 0)
    orthanc.stop()
    lines = plugin_lines(orthanc)
    assert len(lines) > 5
    names = identifiers([file for study in studies for file in study.files])
    assert len(names) > 40
    leaks = [line for line in lines for name in names | {"Dr Example"} if name in line]
    assert leaks == []


# 6

def test_6_rest_lies_under_one_prefix_with_orthancs_users(start):
    extra = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}}
    hospital = start.hospital()
    orthanc = Orthanc("guarded", hospital.folder / "guarded", extra=extra)
    start.process(orthanc)
    orthanc.process.start()

    def is_up():
        try:
            return answer(orthanc.url + "/system")[0] == 401
        except OSError:
            return False

    wait_until("Orthanc asks for a password", is_up)
    credentials = {"Authorization": "Basic " + base64.b64encode(b"alice:secret").decode()}
    for path in ["", "/status", "/worklist", "/studies/1.2.3", "/app/", "/app/app.js", "/metrics"]:
        assert answer(orthanc.url + "/gantry" + path)[0] == 401, path
        assert answer(orthanc.url + "/gantry" + path, headers=credentials)[0] in (200, 302, 404), path
    assert answer(orthanc.url + "/gantry/status", headers=credentials)[0] == 200


def test_6_a_long_request_holds_no_lock_of_orthancs(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    orthanc = hospital.orthanc
    study = phantoms[0]
    orthanc.send(study.files)
    hospital.wait_for_flags([study.uid])
    wait_until("nothing waits", lambda: orthanc.waiting() == 0)
    body = json.dumps({"finding": FINDING, "verdict": "agree"}).encode()
    for _ in range(5):
        # A review must reach the disk: with the database locked it waits for up to two seconds.
        database = sqlite3.connect(orthanc.folder / "gantry" / "gateway.sqlite", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        statuses = []
        request = threading.Thread(target=lambda: statuses.append(
            answer(f"{orthanc.url}/gantry/studies/{study.uid}/review", "POST", body,
                   {"Content-Type": "application/json", "Origin": orthanc.url})[0]))
        request.start()
        try:
            orthanc.send(phantoms[1].files[:5])
            page = answer(orthanc.url + "/gantry/app/")[0]
            orthanc.get("/statistics")
            was_under_way = request.is_alive()
        finally:
            database.execute("ROLLBACK")
            database.close()
            request.join()
        assert page == 200 and statuses[0] in (200, 503)
        if was_under_way:
            return
    pytest.fail("C-STORE and other requests waited each time until the long request was over")


# 7

def test_7_errors_have_the_proper_status_and_say_what_to_do_next(start, tmp_path):
    hospital = start.hospital()
    orthanc = hospital.orthanc.start()
    url = orthanc.url + "/gantry"

    def failure(path, status, method="GET", body=None):
        found, headers, content = answer(url + path, method, body)
        assert found == status, (path, found, content)
        return headers, json.loads(content)

    for path, status in [
            ("/nothing", 404), ("/studies/1.2.3", 404), ("/studies/1.2.3%27%20OR%201", 404), ("/app/other.js", 404),
            ("/worklist?limit=0", 400), ("/worklist?limit=many", 400), ("/worklist?limit=10001", 400)]:
        headers, content = failure(path, status)
        assert content["error"] and content["hint"], content
        assert headers["X-Content-Type-Options"] == "nosniff"
    # Orthanc's own form, with the code that the plugin has registered.
    _, content = failure("/studies/1.2.3/review", 413, "POST", b"x" * 70_000)
    assert content["PluginName"] == "gantry" and content["PluginCode"] == 1 and "64 KiB" in content["Message"]
    # Orthanc sends this status without a body.
    for path, method, allowed in [("/status", "POST", "GET"), ("/studies/1.2.3/review", "GET", "POST"),
                                  ("/worklist", "DELETE", "GET"), ("/app/", "PUT", "GET")]:
        status, headers, _ = answer(url + path, method, b"" if method in ("POST", "PUT") else None)
        assert status == 405 and headers["Allow"] == allowed, (path, status)


def test_7_without_a_database_answers_are_503_and_the_status_says_why(start, tmp_path):
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    hospital = start.hospital(gantry={"StateDirectory": str(blocked / "gantry")})
    orthanc = hospital.orthanc.start()
    status, _, content = answer(orthanc.url + "/gantry/worklist")
    assert status == 503 and json.loads(content)["hint"]
    # The status knows it when the first write has failed.
    found = wait_until("the database is found unusable", lambda: [
        database for database in [orthanc.get("/gantry/status")["database"]] if database["state"] == "unusable"])[0]
    assert found["reason"]
    assert prometheus.read(answer(orthanc.url + "/gantry/metrics")[2].decode())["gantry_database_usable"] == 0


# 8

def test_8_metrics_are_in_orthancs_list_and_follow_the_work(start, package, phantoms):
    hospital = start.hospital(packages=[package])
    orthanc = hospital.orthanc.start()
    study = phantoms[0]
    orthanc.send(study.files)
    wait_until("the outbox is counted",
               lambda: orthanc_metrics(orthanc).get("gantry_outbox_instances") == len(study.files))
    before = orthanc_metrics(orthanc)
    assert before["gantry_worker_up_1"] == 0
    assert before["gantry_outbox_oldest_seconds"] > 0
    assert before["gantry_in_flight_bytes"] == 0
    # Without a worker the hook keeps ids alone.
    assert before["gantry_hook_seconds_count_with_id_only"] == len(study.files)
    assert 0 < before["gantry_hook_p50_seconds_with_id_only"] <= before["gantry_hook_p99_seconds_with_id_only"]
    assert before["gantry_refusals_total_no_worker"] == 0
    assert before["gantry_flags_critical"] == 0
    hospital.worker.start()
    flags = hospital.wait_for_flags([study.uid])[study.uid]
    wait_until("the flag is counted", lambda: orthanc_metrics(orthanc)[f"gantry_flags_{flags[0]['urgency']}"] == 1)
    wait_until("nothing waits", lambda: orthanc_metrics(orthanc)["gantry_outbox_instances"] == 0)
    after = wait_until("the worker is up", lambda: [
        metrics for metrics in [orthanc_metrics(orthanc)] if metrics["gantry_worker_up_1"] == 1])[0]
    assert after["gantry_instances_total_scored"] == len(study.files)
    assert not any("{" in name for name in after if name.startswith("gantry"))
    # With types, labels and the whole histogram.
    full = prometheus.read(answer(orthanc.url + "/gantry/metrics")[2].decode())
    assert full['gantry_instances_total{outcome="scored"}'] == len(study.files)
    assert full['gantry_hook_seconds_count{kept="with_id_only"}'] == len(study.files)


# 9; in a real browser: test_16_page

def test_9_orthanc_explorer_leads_to_the_page_also_behind_a_path_prefix(start):
    hospital = start.hospital()
    orthanc = hospital.orthanc.start()
    script = answer(orthanc.url + "/plugins/explorer.js")[2].decode()
    assert "gantry-worklist" in script and "gantry-flag" in script
    # Nothing that came from DICOM or a model is ever taken for markup.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\.html\(|eval\(", script)
    plugin = orthanc.get("/plugins/gantry")
    assert plugin["ExtendsOrthancExplorer"] and plugin["Description"] and plugin["Version"]
    page = urllib.parse.urljoin("/app/explorer.html", plugin["RootUri"])
    assert page == "/gantry/app/"
    for prefix in ["", "/pacs"]:
        for entry in ["/gantry", "/gantry/"]:
            shown = prefix + entry
            for _ in range(3):
                status, headers, content = answer(orthanc.url + shown.removeprefix(prefix))
                if status != 302:
                    break
                shown = urllib.parse.urljoin(shown, headers["Location"])
            assert status == 200 and shown == prefix + "/gantry/app/", (prefix, entry, shown)
            assert b"app.js" in content
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"


# 10

def test_10_it_stops_in_mid_association_with_a_worker_that_hangs(start, package, phantoms):
    hospital = start.hospital(packages=[package]).start()
    orthanc = hospital.orthanc
    wait_until("the worker is there", lambda: orthanc.get("/gantry/status")["workers"][0]["connected"])
    worker = hospital.worker.process.child
    files = [file for study in phantoms for file in study.files]
    sender = Sender(orthanc, files)
    try:
        for accepted in sender.responses():
            if accepted == 10:
                worker.send_signal(signal.SIGSTOP)
            if accepted == 30:
                break
        # Far less than what a service manager waits before it kills.
        assert orthanc.process.stop(seconds=45) == 0, plugin_lines(orthanc)[-5:]
        for _ in sender.responses():
            pass
        sender.child.wait()
    finally:
        worker.send_signal(signal.SIGCONT)
    orthanc.start()
    stored = orthanc.instances()
    assert stored >= sender.accepted
    wait_until("everything that was stored is handed over",
               lambda: orthanc.get("/gantry/status")["outcomes"].get("scored") == stored, 240)


def test_10_it_stops_while_a_client_holds_a_request_open(start):
    hospital = start.hospital()
    orthanc = hospital.orthanc.start()
    with socket.create_connection(("127.0.0.1", orthanc.http_port)) as client:
        client.sendall(b"POST /gantry/studies/1.2.3/review HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert orthanc.process.stop(seconds=45) == 0
    assert os.path.exists(orthanc.folder / "gantry" / "gateway.sqlite")


# Routing rules

def test_rules_decide_what_is_handed_over_and_are_counted(start, package, phantoms):
    rules = [
        {"Modality": ["MR", "US"], "HandOver": True},
        {"Modality": "CT", "CallingAet": ["ARCHIVE*"], "HandOver": False},
        {"Modality": "CT", "Instituton": "misspelt", "HandOver": False},
    ]
    hospital = start.hospital(packages=[package], gantry={"Rules": rules}).start()
    orthanc = hospital.orthanc
    away, kept = phantoms[0], phantoms[1]
    orthanc.send(away.files, calling="ARCHIVE-7")
    orthanc.send(kept.files, calling="SCANNER")
    hospital.wait_for_flags([kept.uid])
    wait_until("nothing waits", lambda: orthanc.waiting() == 0)
    status = orthanc.get("/gantry/status")
    assert status["outcomes"] == {"routed-away": len(away.files), "scored": len(kept.files)}
    assert status["rules"] == [
        {"rule": "default", "instances": len(kept.files)}, {"rule": rules[0], "instances": 0},
        {"rule": rules[1], "instances": len(away.files)}]
    assert not orthanc.final_flags(away.uid)
    assert orthanc.study(away.uid)["counts"]["routed_away"] == len(away.files)
    assert orthanc.instances() == len(away.files) + len(kept.files)
    complaints = [line for line in plugin_lines(orthanc) if "Rule 3 of the setting Rules is left out" in line]
    assert len(complaints) == 1 and "Instituton" in complaints[0]
    assert not hospital.worker.rows("SELECT * FROM study WHERE study_instance_uid = ?", away.uid)
    # Metrics must not wait for the database: their figures are counted every two seconds.
    wait_until("the metrics say what the second rule did",
               lambda: orthanc_metrics(orthanc)["gantry_rule_instances_total_2"] == len(away.files))
