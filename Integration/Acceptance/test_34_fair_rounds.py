# SPDX-License-Identifier: GPL-3.0-or-later
"""One site cannot speak for all: what a hub believes of a site, and where its rounds start."""

import json
import math
import sqlite3
import time
import urllib.request

import pytest

from harness.gantry import FINDING, make_phantoms
from harness.processes import BIN, run, wait_until
from harness.site import ScriptedSite, read_safetensors, write_safetensors
from test_5_hostile_sites import refusals, secret_of


class Federation:
    """A hub with scripted sites that all want rounds."""

    def __init__(self, start, package, sites, *options):
        # Too many labels are asked for, until all sites have said what they have.
        self.hub = start.hub("--quorum", 2, "--deadline", 300, "--minimum-labels", 1_000_000_000, *options)
        self.hub.add_model(package)
        keys = [self.hub.enrol(f"site-{letter}") for letter in "abcde"[:sites]]
        self.hub.start()
        self.sites = [start.process(Stopping(self.hub, secret_of(key))) for key in keys]
        self.labels = {}
        first = self.sites[0].hello()["models"][0]
        self.package = first["version"]["package"]
        self.base = read_safetensors(self.sites[0].download(first["version"]["parameters"], first["parametersBytes"]))

    def say(self, site, labels=100, **more):
        """A site's hello; remembers what it says, for `round`."""
        self.labels[site] = (labels, more)
        return self.state(site)

    def state(self, site):
        labels, more = self.labels.get(site, (100, {}))
        return site.hello(self.package, self.hub.versions()[0], labels, **more)["models"][0]

    def round(self, sites=None):
        """Waits until a round is open, the first one for all sites; gives what they are told."""
        sites = sites or self.sites
        if not self.hub.rows("SELECT number FROM round") and len(sites) > 1:
            for site in sites:
                self.state(site)
            self.hub.stop()
            self.hub.process.command += ["--minimum-labels", "1"]
            self.hub.start()

        def is_open():
            rounds = [self.state(site).get("round") for site in sites]
            return next((each for each in rounds if each), None)

        return wait_until("a round is open", is_open, 120, interval=0.2)

    def current(self):
        """Parameters of the version that the hub names now, and its id."""
        version = self.sites[0].hello(self.package, self.hub.versions()[0])["models"][0]
        content = self.sites[0].download(version["version"]["parameters"], version["parametersBytes"])
        row = self.hub.rows("SELECT current_version FROM model")[0]
        return read_safetensors(content), row["current_version"]

    def delta(self, size=0.0005, seed=0, **changes):
        """An honest delta: every value moves a little, most of it the same way at every site; or what `changes` say."""
        tensors = {}
        for number, (name, (shape, values)) in enumerate(sorted(self.base.items())):
            moved = [size * (math.sin(i * 12.9898 + number) + 0.4 * math.sin(i * 78.233 + seed * 37.7))
                     for i in range(len(values))]
            tensors[name] = (shape, moved)
        return {**tensors, **changes}

    def scaled(self, tensors, factor):
        return {name: (shape, [factor * value for value in values]) for name, (shape, values) in tensors.items()}

    def contribute(self, site, told, tensors, examples=10, base=None):
        base = base or self.hub.rows("SELECT base FROM round WHERE number = ?", told["round"])[0]["base"]
        return site.offer(told["round"], base, write_safetensors(tensors), examples=examples)

    def ended(self, number):
        """The round's row once it is over."""
        def over():
            row = self.hub.rows("SELECT state, reason FROM round WHERE number = ?", number)[0]
            return row if row["state"] in ("closed", "void") else None

        return wait_until(f"round {number} is over", over, 60)

    def audit(self, event):
        rows = self.hub.rows("SELECT detail FROM audit_entry WHERE event = ? ORDER BY number", event)
        return [json.loads(row["detail"]) for row in rows]


class Stopping(ScriptedSite):
    """A scripted site that the fixture can stop."""

    def stop(self):
        self.close()


@pytest.fixture
def federation(start, package):
    def make(sites, *options):
        return Federation(start, package, sites, *options)
    return make


def head_bias(tensors):
    """The name of the last layer's bias."""
    return max((name for name in tensors if name.endswith("bias")), key=lambda name: (len(tensors[name][1]) == 1, name))


# F1: weight and screens

def test_a_bias_of_minus_30_with_a_million_examples_moves_nothing(federation):
    world = federation(3, "--rounds", "2", "--interval", "0", "--pause", "0")
    (honest, other, hostile), bias = world.sites, head_bias(world.base)
    told = world.round()
    zeros = world.delta(0)
    blind = {**zeros, bias: (zeros[bias][0], [-30.0] * len(zeros[bias][1]))}

    # More examples than the site itself said it has.
    assert world.contribute(hostile, told, blind, 1_000_000)[1][1] == "bad-weight"
    # It says that it has them.
    world.say(hostile, labels=1_000_000)
    assert world.contribute(hostile, told, blind, 1_000_000)[1][1] == "out-of-line"
    # It has had its say: what is less far out, or even honest, is not looked at any more.
    for tensors in (world.scaled(blind, 0.01), world.delta()):
        assert world.contribute(hostile, told, tensors, 10)[1][1] == "out-of-line"

    # The honest go on, without waiting for the deadline.
    assert world.contribute(honest, told, world.delta(seed=1), 20)[0] == "accepted"
    assert world.contribute(other, told, world.delta(seed=2), 10)[0] == "accepted"
    assert world.ended(told["round"])["state"] == "closed"
    parameters, _ = world.current()
    moved = [abs(a - b) for a, b in zip(parameters[bias][1], world.base[bias][1])]
    assert max(moved) < 0.01, moved

    # Its name, its figures and its screen are where an operator looks.
    entry = next(each for each in world.audit("refused") if each["reason"] == "out-of-line")
    assert entry["site"] == "site-c" and entry["tensor"] == bias and entry["found"] == "30.0", entry
    assert "out-of-line" in world.hub.process.log_text() and bias in world.hub.process.log_text()
    assert refusals(world.hub)["out-of-line"] >= 1
    members = world.hub.status()["models"][0]["rounds"][-1]["sites"]
    assert {member["site"]: member["state"] for member in members}["site-c"] == "out-of-line", members
    with urllib.request.urlopen(world.hub.url + "/metrics", timeout=10) as answer:
        assert 'gantry_hub_refusals_total{site="site-c",reason="out-of-line"}' in answer.read().decode()


def test_with_one_honest_site_beside_it_a_round_is_void_and_not_the_hostile_ones(federation):
    world = federation(2, "--rounds", "1", "--interval", "0", "--pause", "0")
    (honest, hostile), bias = world.sites, head_bias(world.base)
    world.say(hostile, labels=1_000_000)
    told = world.round()
    zeros = world.delta(0)
    blind = {**zeros, bias: (zeros[bias][0], [-30.0] * len(zeros[bias][1]))}
    assert world.contribute(honest, told, world.delta(seed=1), 10)[0] == "accepted"
    assert world.contribute(hostile, told, blind, 1_000_000)[1][1] == "out-of-line"
    ended = world.ended(told["round"])
    assert ended["state"] == "void" and "1 of 2" in ended["reason"], ended
    assert len(world.hub.versions()) == 1


@pytest.mark.parametrize("change, screen", [
    (lambda world, honest: world.scaled(honest, 100), {"step", "change"}),
    (lambda world, honest: world.scaled(honest, -1), {"cosine"}),
    (lambda world, honest: {name: (shape, values[:-1] + [5.0]) if len(values) > 100 else (shape, values)
                            for name, (shape, values) in honest.items()}, {"step"}),
])
def test_a_delta_that_is_not_like_the_others_does_not_count(federation, change, screen):
    world = federation(4, "--rounds", "1", "--interval", "0", "--pause", "0")
    told = world.round()
    for number, site in enumerate(world.sites[:3]):
        assert world.contribute(site, told, world.delta(seed=number), 10 + 5 * number)[0] == "accepted"
    world.contribute(world.sites[3], told, change(world, world.delta(seed=9)), 10)
    assert world.ended(told["round"])["state"] == "closed"
    assert {row["site"] for row in world.hub.rows("SELECT site FROM contribution")} == {"site-a", "site-b", "site-c"}
    entry = next(each for each in world.audit("refused") if each["reason"] == "out-of-line")
    assert entry["site"] == "site-d" and entry["screen"] in screen, entry
    parameters, _ = world.current()
    expected = world.delta(seed=1)
    for name, (_, values) in parameters.items():
        for after, before, step in list(zip(values, world.base[name][1], expected[name][1]))[:50]:
            assert abs(after - before) < 0.001


def test_sites_that_differ_honestly_all_count(federation):
    """Ten times the studies and so a longer way, and other patients."""
    world = federation(4, "--rounds", "1", "--interval", "0", "--pause", "0")
    for site, labels in zip(world.sites, (300, 20, 25, 30)):
        world.say(site, labels)
    told = world.round()
    deltas = [world.delta(0.004, 1), world.delta(0.0004, 2), world.delta(0.0006, 3),
              {name: (shape, [0.0005 * math.cos(i * 3.77 + 1) for i in range(len(values))])
               for name, (shape, values) in world.base.items()}]
    for site, tensors, examples in zip(world.sites, deltas, (300, 20, 25, 30)):
        assert world.contribute(site, told, tensors, examples)[0] == "accepted"
    assert world.ended(told["round"])["state"] == "closed"
    assert len(world.hub.rows("SELECT site FROM contribution")) == 4
    weights = dict(part.split("=") for part in world.audit("round-closed")[0]["weights"].split())
    assert float(weights["site-a"]) == 0.5, weights
    assert abs(sum(map(float, weights.values())) - 1) < 1e-3
    assert abs(float(weights["site-d"]) - 0.5 * 30 / 75) < 1e-3


def test_a_site_of_the_first_release_is_told_a_reason_that_it_knows(federation):
    """It offers a delta again for ever when it does not know the reason."""
    world = federation(3, "--rounds", "1", "--interval", "0", "--pause", "0")
    world.say(world.sites[2], 100, capabilities=None)
    told = world.round()
    answer = world.contribute(world.sites[2], told, world.scaled(world.delta(), 1000))
    assert answer[:2] == ("refused", [str(told["round"]), "malformed"])
    assert refusals(world.hub) == {"out-of-line": 1}


# F3: labels and pace

def test_labels_are_new_once_and_rounds_have_an_interval(federation):
    world = federation(2, "--interval", "3600", "--pause", "0", "--new-labels", "1")
    told = world.round()
    for number, site in enumerate(world.sites):
        assert world.contribute(site, told, world.delta(seed=number))[0] == "accepted"
    assert world.ended(told["round"])["state"] == "closed"

    def waiting(text):
        for site in world.sites:
            world.say(site, 100, new=1_000_000_000)
        reason = world.hub.status()["models"][0].get("waiting_for")
        return reason if reason and text in reason else None

    wait_until("the interval is what the next round waits for", lambda: waiting("pause"))
    world.hub.stop()
    world.hub.process.command += ["--interval", "0"]
    world.hub.start()
    assert "0 of 1" in wait_until("new labels are what the next round waits for", lambda: waiting("new labels"))
    assert len(world.hub.rows("SELECT number FROM round")) == 1
    # Two labels more are two new ones, whatever is claimed.
    for site in world.sites:
        world.say(site, 101, new=1_000_000_000)
    assert world.round()["round"] > told["round"]


def test_a_full_buffer_of_examples_does_not_hide_new_labels(federation):
    world = federation(2, "--interval", "0", "--pause", "0", "--new-labels", "2")

    def say(ever):
        return [world.say(site, 50, new=5, ever=ever).get("round") for site in world.sites][-1]

    say(80)
    told = world.round()
    for number, site in enumerate(world.sites):
        assert world.contribute(site, told, world.delta(seed=number))[0] == "accepted"
    world.ended(told["round"])
    wait_until("nothing is new", lambda: (say(80), "0 of 2" in (world.hub.status()["models"][0].get("waiting_for") or ""))[1])
    assert wait_until("another round is open", lambda: say(85), interval=0.2)["round"] > told["round"]


# F4 and F5: reports, offers, rows, requests

def test_reports_change_a_few_times_and_the_rest_is_counted(federation):
    world = federation(2)
    site, version = world.sites[0], world.hub.versions()[0]
    before = len(world.hub.rows("SELECT number FROM audit_entry"))
    for number in range(60):
        assert site.report(version, ("live", "refused")[number % 2])[0] == "noted"
        assert site.report(version, ("live", "refused")[number % 2], auc=0.5 + number / 1000)[0] == "noted"
    entries = len(world.hub.rows("SELECT number FROM audit_entry")) - before
    assert entries <= 10, entries
    assert len(world.hub.rows("SELECT * FROM version_report")) == 1
    counted = {row["reason"]: row["count"] for row in world.hub.status()["refusals"]}
    assert counted["too-many-reports"] >= 50, counted


def test_offers_in_a_round_are_few(federation):
    world = federation(2, "--rounds", "2", "--interval", "0", "--pause", "0")
    told = world.round()
    site, answers = world.sites[0], []
    for number in range(60):
        content = write_safetensors(world.delta(seed=number))[:-4 * (number + 1)]
        answers.append(world.sites[0].offer(
            told["round"], world.hub.rows("SELECT base FROM round")[0]["base"], content)[1][1])
    assert answers[0] == "malformed" and answers[-1] == "too-many-offers"
    assert len(world.hub.rows("SELECT * FROM delta")) <= 16
    assert len(world.audit("refused")) <= 2
    # The other site, and the next round, are not concerned.
    assert world.contribute(world.sites[1], told, world.delta(seed=1))[0] == "accepted"


def test_rows_go_when_rounds_go(federation):
    world = federation(2, "--interval", "0", "--pause", "0", "--kept-rounds", "2", "--rounds", "6")
    for number in range(6):
        told = world.round()
        for each, site in enumerate(world.sites):
            if number == 0:
                site.offer(told["round"], "0" * 64, write_safetensors(world.delta()))
            assert world.contribute(site, told, world.delta(0.0001, seed=10 * number + each))[0] == "accepted"
        world.ended(told["round"])
        version = wait_until("a version", lambda: world.hub.versions()[number + 1:] and world.hub.versions()[-1])
        for site in world.sites:
            site.report(version, "live")

    def counts():
        return {table: world.hub.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]
                for table in ("round", "delta", "contribution", "cohort", "version_report", "version")}

    kept = {"round": 2, "delta": 4, "contribution": 4, "cohort": 4, "version_report": 4, "version": 7}
    wait_until("old rows are gone", lambda: counts() == kept)
    model = world.hub.status()["models"][0]
    assert model["rounds_closed"] == 6 and len(model["versions"]) == 7
    assert refusals(world.hub) == {"wrong-base-version": 2}, "counts do not go"
    assert len(world.audit("round-closed")) == 6
    assert world.sites[0].hello(world.package, world.hub.versions()[0])["models"][0]["roundsClosed"] == 6


def test_a_site_that_asks_without_end_is_told_to_slow_down_and_others_are_served(federation):
    world = federation(2)
    hostile, other = world.sites
    for _ in range(2500):
        hostile.socket.send_multipart([b"GANTRYFED1 fetch", b"0" * 64, b"0", b"1", b""])
        if hostile.socket.poll(0):
            hostile.socket.recv_multipart()
    names, deadline = set(), time.monotonic() + 60
    while "slow-down" not in names and time.monotonic() < deadline:
        assert hostile.socket.poll(30_000)
        names.add(hostile.socket.recv_multipart()[1].decode())
    assert "slow-down" in names
    assert other.hello()["site"] == "site-b"
    wait_until("it is counted", lambda: refusals(world.hub).get("slow-down"))
    assert len(world.audit("refused")) == 1


# The version that most refuse, and the operator's way back

def test_a_version_that_most_sites_refuse_is_not_where_the_next_round_starts(federation):
    world = federation(3, "--interval", "0", "--pause", "0", "--rounds", "3")
    first = world.hub.versions()[0]
    told = world.round()
    for number, site in enumerate(world.sites):
        assert world.contribute(site, told, world.delta(seed=number))[0] == "accepted"
    world.ended(told["round"])
    second = wait_until("a version", lambda: world.hub.versions()[1:] and world.hub.versions()[-1])
    assert world.hub.rows("SELECT current_version FROM model")[0]["current_version"] == second

    def current():
        return world.hub.rows("SELECT current_version FROM model")[0]["current_version"]

    # One site's word does not do it, nor one of two.
    world.sites[0].report(second, "refused")
    world.sites[1].report(second, "live")
    assert world.round()["base"]["parameters"] != told["base"]["parameters"]
    assert current() == second
    world.sites[2].report(second, "refused")
    wait_until("the hub has gone back", lambda: current() == first)
    again = world.round()
    assert again["base"] == told["base"]
    entry = world.audit("version-rolled-back")[0]
    assert entry["from"] == second and entry["to"] == first and entry["why"] == "2 of 3 sites refused it", entry
    assert "most sites refused the current version" in world.hub.process.log_text()
    versions = world.hub.status()["models"][0]["versions"]
    assert [version["refused_by_most"] for version in versions] == [False, True]
    # The next version is made from the one before, and is the current one.
    for number, site in enumerate(world.sites):
        world.contribute(site, again, world.delta(seed=30 + number))
    world.ended(again["round"])
    third = wait_until("a third version", lambda: world.hub.versions()[2:] and world.hub.versions()[-1])
    assert current() == third
    assert world.hub.rows("SELECT parent FROM version WHERE id = ?", third)[0]["parent"] == first


def test_an_operator_goes_back_and_a_hospital_takes_the_older_version(start, package, tmp_path):
    # The hospital judges and does not train: it has fewer labels than a round asks for.
    hub = start.hub("--quorum", 1, "--deadline", 300, "--minimum-labels", 60, "--interval", 0, "--pause", 0, "--rounds", 1)
    hub.add_model(package)
    key = hub.enrol("scripted")
    hospital = start.hospital(hub=hub, worker={"hub_seconds": 0.2, "held_out_share": 0.9})
    hub.start()
    hospital.start()
    site = start.process(Stopping(hub, secret_of(key)))
    first = hub.versions()[0]
    approve(hospital)
    wait_until("the hub's model is live", lambda: hospital.orthanc.live_version() == first, 60)
    # Enough studies with a label for the guard to judge by.
    studies = make_phantoms(tmp_path / "studies", studies=12, seed=21, slices=4)
    for study in studies:
        hospital.orthanc.send(study.files)
    hospital.wait_for_flags([study.uid for study in studies])
    for study in studies:
        flag = hospital.orthanc.final_flags(study.uid)[0]
        positive = next(finding["positive"] for finding in flag["findings"] if finding["finding"] == FINDING)
        hospital.orthanc.review(study.uid, FINDING, "agree" if positive == study.present else "disagree")

    world = Federation.__new__(Federation)
    world.hub, world.sites, world.labels = hub, [site], {}
    state = site.hello()["models"][0]
    world.package = state["version"]["package"]
    world.base = read_safetensors(site.download(state["version"]["parameters"], state["parametersBytes"]))
    told = world.round([site])
    tiny = {name: (shape, [1e-7 * (i % 3 - 1) for i in range(len(values))]) for name, (shape, values) in world.base.items()}
    assert world.contribute(site, told, tiny)[0] == "accepted"
    second = wait_until("a version", lambda: hub.versions()[1:] and hub.versions()[-1], 400)
    wait_until("it is live at the hospital", lambda: hospital.orthanc.live_version() == second, 120)

    listed = run(BIN / "gantry-hub", "model", "versions", "--state", hub.state, "head-ct-haemorrhage")
    assert "current" in listed and first[:12] in listed and second[:12] in listed, listed
    with pytest.raises(RuntimeError, match="model versions"):
        run(BIN / "gantry-hub", "model", "rollback", "--state", hub.state, "head-ct-haemorrhage", "--to", "7")
    run(BIN / "gantry-hub", "model", "rollback", "--state", hub.state, "head-ct-haemorrhage")
    wait_until("the older version is live at the hospital", lambda: hospital.orthanc.live_version() == first, 120)
    assert world.audit("version-rolled-back")[0]["why"] == "the operator's command"


def approve(hospital):
    """Lets the hub's package run where the hospital decides that."""
    if "approve" not in run(BIN / "gantry", "model", "--help"):
        return

    def approved():
        try:
            return run(BIN / "gantry", "model", "approve", "--state", hospital.worker.state, "head-ct-haemorrhage")
        except RuntimeError:
            return None

    wait_until("the package has come", approved, 60, interval=0.5)


def test_the_state_of_an_earlier_hub_goes_on(start, package):
    """The database as the first release left it: its schema and settings are brought up to date."""
    hub = start.hub("--quorum", 2, "--minimum-labels", 1, "--interval", 0)
    settings = {"quorum": 2, "deadlineSeconds": 77, "extensions": 1, "minimumLabels": 1, "roundLimit": 0,
                "newLabels": 8, "pauseSeconds": 5, "presenceSeconds": 60}
    with sqlite3.connect(hub.state / "hub.sqlite") as database:
        database.execute("INSERT OR REPLACE INTO setting (key, value) VALUES ('rounds', ?)", [json.dumps(settings)])
    hub.add_model(package)
    hub.start()
    assert json.loads(hub.rows("SELECT value FROM setting WHERE key = 'rounds'")[0]["value"])["deadlineSeconds"] == 77
