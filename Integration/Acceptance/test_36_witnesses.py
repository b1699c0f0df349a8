# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns an audit log can write it anew; hub and sites keep each other's heads, and find it out."""

import hashlib
import shutil
import sqlite3
import subprocess
import urllib.request

import pytest

from harness.gantry import GANTRY
from harness.processes import wait_until


@pytest.fixture
def federation(start, package):
    """A hub and a hospital that have met; each has noted the other's log."""
    hub = start.hub()
    hub.add_model(package)
    hospital = start.hospital("hospital-a", packages=[package], hub=hub)
    hub.start()
    hospital.start()
    wait_until("the worker has its database", lambda: "worker listens at" in hospital.worker.process.log_text())
    wait_until("both have noted each other's log", lambda: noted(hub) == entries(hospital.worker)
               and noted(hospital.worker) == entries(hub), 120)
    return hub, hospital


def database(side):
    return side.state / ("hub.sqlite" if hasattr(side, "http_port") else "worker.sqlite")


def entries(side):
    return side.rows("SELECT count(*) AS n FROM audit_entry")[0]["n"]


def noted(side):
    """How long the other side's log was when this side last heard of it."""
    rows = side.rows("SELECT entries FROM audit_witness ORDER BY number DESC LIMIT 1")
    return rows[0]["entries"] if rows else None


def events(side):
    return [row["event"] for row in side.rows("SELECT event FROM audit_entry ORDER BY number")]


def write_anew(file, change):
    """What root does: `change` gets and gives rows (at, event, detail); the chain is made again so that it is whole."""
    with sqlite3.connect(file, isolation_level=None) as log:
        for trigger in ("no_update", "no_delete", "in_order"):
            log.execute(f"DROP TRIGGER audit_entry_{trigger}")
        rows = change(log.execute("SELECT at_ms, event, detail FROM audit_entry ORDER BY number").fetchall())
        log.execute("DELETE FROM audit_entry")
        previous = "0" * 64
        for number, (at, event, detail) in enumerate(rows, 1):
            digest = hashlib.sha256(b"gantry-audit-1\n")
            for part in (str(number), str(at), event, detail, previous):
                digest.update(f"{len(part.encode())}:{part}\n".encode())
            log.execute("INSERT INTO audit_entry VALUES (?, ?, ?, ?, ?, ?)",
                        (number, at, event, detail, previous, digest.hexdigest()))
            previous = digest.hexdigest()
        log.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit_entry'", (len(rows),))
    log.close()


def verify(file, *options):
    done = subprocess.run([GANTRY, "audit", "verify", str(file), *map(str, options)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def another_first_event(rows):
    at, _, detail = rows[0]
    return [(at, "nothing-happened", detail), *rows[1:]]


def longer(rows):
    return another_first_event(rows) + [(rows[-1][0], "made-up", "{}")] * 7


def shorter(rows):
    return rows[:1]


def counted(hospital):
    return (hospital.orthanc.get("/gantry/status")["models"] or {}).get("federation", {})


@pytest.mark.parametrize("change", [another_first_event, longer, shorter])
def test_a_hub_that_writes_its_log_anew_is_found_out_by_its_site_and_by_a_check(federation, change, tmp_path):
    hub, hospital = federation
    assert verify(database(hub), "--against", database(hospital.worker))[0] == 0
    hub.stop()
    lines = tmp_path / "witness.txt"
    lines.write_bytes(subprocess.run([GANTRY, "audit", "witness", database(hospital.worker)],
                                     capture_output=True, check=True).stdout)
    write_anew(database(hub), change)
    assert verify(database(hub))[0] == 0, "the log is whole in itself"
    for options in (["--against", database(hospital.worker)], ["--witness", lines]):
        code, text = verify(database(hub), *options)
        assert code == 1 and "restored" in text and "the other side has seen" in text, text
    hub.start()
    wait_until("the site says so in its log", lambda: "it was restored from an older copy, cut off or rewritten"
               in hospital.worker.process.log_text())
    wait_until("and in its own record", lambda: "hub-log-rewritten" in events(hospital.worker))
    wait_until("and to its gateway", lambda: counted(hospital).get("hub_log_rewritten_at_ms"))
    # They go on, and it is said once.
    before = noted(hospital.worker)
    hub.enrol("another-site")
    wait_until("the log goes on", lambda: noted(hospital.worker) != before)
    assert events(hospital.worker).count("hub-log-rewritten") == 1
    assert verify(database(hospital.worker), "--against", database(hub), "--site", "hospital-a")[0] == 0


@pytest.mark.parametrize("change", [another_first_event, longer, shorter])
def test_a_site_that_writes_its_log_anew_is_found_out_by_the_hub_and_by_a_check(federation, change):
    hub, hospital = federation
    hospital.worker.stop()
    assert verify(database(hospital.worker), "--against", database(hub))[0] == 0
    write_anew(database(hospital.worker), change)
    assert verify(database(hospital.worker))[0] == 0
    code, text = verify(database(hospital.worker), "--against", database(hub), "--site", "hospital-a")
    assert code == 1 and "restored" in text, text
    hospital.worker.start()
    site = wait_until("the hub's page says so", lambda: next(
        (site for site in hub.status()["sites"] if site.get("log_rewritten_at_ms")), None))
    assert site["name"] == "hospital-a"
    assert "site-log-rewritten" in events(hub)
    assert "it was restored from an older copy, cut off or rewritten" in hub.process.log_text()
    metrics = urllib.request.urlopen(hub.url + "/metrics", timeout=60).read().decode()
    assert 'gantry_hub_site_log_rewritten{site="hospital-a"} 1' in metrics


def test_a_hub_that_comes_back_from_a_backup_is_noticed(federation, tmp_path):
    hub, hospital = federation
    hub.stop()
    copy = tmp_path / "copy"
    shutil.copytree(hub.state, copy)
    hub.start()
    hub.enrol("another-site")
    wait_until("the site has seen more", lambda: noted(hospital.worker) == entries(hub))
    hub.stop()
    for name in ("hub.sqlite", "hub.sqlite-wal", "hub.sqlite-shm"):
        (hub.state / name).unlink(missing_ok=True)
        if (copy / name).exists():
            shutil.copy(copy / name, hub.state / name)
    hub.start()
    wait_until("the site says so", lambda: "hub-log-rewritten" in events(hospital.worker))


def test_nothing_is_complained_about_while_all_is_well(federation):
    hub, hospital = federation
    for _ in range(2):
        hub.stop()
        hospital.worker.stop()
        hub.enrol(f"site-{entries(hub)}")
        hub.start()
        hospital.worker.start()
        wait_until("they meet again", lambda: noted(hospital.worker) == entries(hub)
                   and noted(hub) == entries(hospital.worker), 120)
    assert "hub-log-rewritten" not in events(hospital.worker)
    assert "site-log-rewritten" not in events(hub)
    assert counted(hospital).get("hub_log_rewritten_at_ms") is None
