# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway whose worker says what a test wants, with a browser on its worklist page."""

import json
import time

from harness.processes import ROOT, wait_until

PICTURES = ROOT / ".build/pictures/worklist"
MINUTE = 60_000
MODEL = {
    "name": "head-ct", "title": "Head CT triage", "package": "a3" * 32, "version": "f2" * 32,
    "intended_use": "Notifies of suspected bleeding on head CT, to bring the study forward in the worklist."}
SECOND_MODEL = {
    "name": "skull", "title": "Skull fracture", "package": "b7" * 32, "version": "91" * 32,
    "intended_use": "Notifies of suspected skull fracture on head CT."}
VALIDATION = {
    "labels": 212, "positives": 48, "sensitivity": {"value": 0.958, "low": 0.86, "high": 0.988},
    "specificity": {"value": 0.915, "low": 0.862, "high": 0.948},
    "auc": {"value": 0.97, "low": 0.94, "high": 0.99}, "calibration_labels": 180, "at_ms": 1}


def now():
    return int(time.time() * 1000)


def finding(probability, name="bleeding", title="Intracranial bleeding", urgency="critical", threshold=0.42, **more):
    return {"finding": name, "title": title, "probability": probability, "threshold": threshold,
            "positive": probability >= threshold, "urgency": urgency, "evidence": [], "operating_point": "site", **more}


def flag(study, findings, patient="P1", name="Okafor^Grace", state="final", revision=1, model=MODEL, minutes=4, **more):
    ranks = ["none", "routine", "urgent", "critical"]
    arrived = now() - minutes * MINUTE
    return {
        "revision": revision, "state": state, "study": study, "gateway_instance": f"instance-of-{study}", "model": model,
        "urgency": max((one["urgency"] for one in findings if one["positive"]), key=ranks.index, default="none"),
        "findings": findings, "instances": {"received": 20, "scored": 20, "set_aside": 0}, "model_versions": 1,
        "patient": {"name": name, "id": patient, "birth_date": "19580312"}, "description": "CT head", "modality": "CT",
        "accession_number": "A1", "study_date": "20261122", "arrived_at_ms": arrived, "last_instance_at_ms": arrived,
        "decided_at_ms": now(), "completeness": "expected-count", **more}


class Room:
    """A gateway whose worker says what the test wants, and a browser on its page."""

    def __init__(self, orthanc, worker, browser):
        self.orthanc, self.worker, self.page = orthanc, worker, browser.page

    def show(self, *documents):
        """Sends flags, and waits until the gateway has them."""
        for document in documents:
            name = self.worker.flag(document)
            wait_until("the flag is committed", lambda: self.worker.has(name, document["revision"]), 60)

    def sign_in(self, user=None, url=None):
        """As the first account of the gateway unless told otherwise; nobody where nobody has to."""
        if self.orthanc.users:
            self.page.open(self.orthanc.signing_in(user, url))

    def open(self, url=None):
        self.sign_in(url=url)
        self.page.open(f"{url or self.orthanc.url}/gantry/app/")
        self.page.wait_for("document.getElementById('state').textContent.includes('stud')", 60)

    def rows(self):
        return self.page.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.dataset.study)")

    def reviews(self, study):
        return [(review["reviewer"], review["verdict"]) for review in self.orthanc.study(study)["reviews"]]


def said(room, words, selector="#studies"):
    room.page.wait_for(
        f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})", 60)
