# SPDX-License-Identifier: GPL-3.0-or-later
"""The account at the end of a run: what the gateway acknowledged against what was flagged."""

import hashlib
import sqlite3
import time
from dataclasses import dataclass, field

# Without any change; and altogether, should things go on changing for ever.
PATIENCE_SECONDS = 60
LONGEST_SECONDS = 3_000
# What each final flag is told as, where results are asked for.
RESULTS = ("report", "key-image")


@dataclass
class Entry:
    """One study in the account."""

    study: object
    # Instances that were acknowledged and that no final flag covers.
    lost: int = 0
    # Final flags beyond the one for the study and model version.
    twice: int = 0
    # Flags that count more instances than the archive holds, are not final, or are not what the gateway shows.
    wrong: str = ""
    # Acknowledged instances that the archive itself does not have.
    missing: int = 0
    # Kinds of results that should be in the archive and are not, and objects that are there more than once.
    untold: list = field(default_factory=list)
    again: list = field(default_factory=list)
    why: str = ""

    @property
    def is_good(self):
        return not (self.lost or self.twice or self.wrong or self.missing or self.untold or self.again)


@dataclass
class Account:
    entries: list = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    flagged: int = 0
    told: int = 0
    studies: int = 0
    waiting: int = 0

    @property
    def lost(self):
        return sum(entry.lost for entry in self.entries)

    @property
    def twice(self):
        return sum(entry.twice for entry in self.entries)

    @property
    def wrong(self):
        return sum(bool(entry.wrong or entry.missing) for entry in self.entries)

    @property
    def again(self):
        return sum(len(entry.again) for entry in self.entries)

    @property
    def bad(self):
        return [entry for entry in self.entries if not entry.is_good]


def result_uid(study_uid, version, kind, instances):
    """The SOPInstanceUID of what one model version says about these instances: derived from them, so that whoever makes
    it makes the same (Sources/Results/StudyResult.swift)."""
    texts = ["gantry-result", "instance", study_uid, version, kind, *sorted(instances)]
    bits = int(hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32], 16)
    bits = bits & ~(0xF << 76) | 8 << 76
    bits = bits & ~(0x3 << 62) | 2 << 62
    return f"2.25.{bits}"


def judge(study, gateway, version, results):
    """`results`: whether each final flag has to be in the archive as objects too."""
    entry = Entry(study)
    objects = gateway.objects(study)
    stored = set(objects) & study.instances
    entry.again = sorted({uid for uid in objects if objects.count(uid) > 1})
    entry.missing = len(study.acknowledged - stored)
    found = gateway.study(study)
    flags = [flag for flag in found["flags"] if version in (None, flag["model"]["version"])] if found else []
    final = [flag for flag in flags if flag["state"] == "final"]
    entry.twice = max(0, len(flags) - 1)
    if found and len(found["flags"]) > len(flags):
        entry.wrong = "a flag of a model version that was never live"
    if not final:
        entry.lost = len(study.acknowledged)
        entry.why = f"{len(study.acknowledged)} acknowledged, " + ("the flag is preliminary" if flags else "no flag")
        return entry, stored, False
    counts = final[0]["instances"]
    # A final flag over as many instances as the archive holds covers each of them.
    entry.lost = max(0, len(stored) - min(counts["received"], counts["scored"]))
    if entry.lost:
        entry.why = f"{len(study.acknowledged)} acknowledged, {len(stored)} stored, the flag covers {counts}"
    elif counts["received"] > len(stored):
        entry.wrong = f"the flag counts {counts} and the archive holds {len(stored)}"
    elif not gateway.shows(study, final[0]):
        entry.wrong = "the gateway shows its users another flag"
    if results and not entry.lost:
        entry.untold = [
            kind for kind in RESULTS
            if result_uid(study.uid, final[0]["model"]["version"], kind, stored) not in objects]
    return entry, stored, True


def live_version(status):
    models = status.get("models") if status else None
    return models["live"][0]["version"] if models and models.get("live") else None


def draw_up(stream, gateway, results=False):
    """One pass over all studies; None when the gateway does not answer."""
    status = gateway.status()
    if status is None:
        return None
    version = live_version(status)
    account = Account(waiting=status["outbox"]["waiting"] if status.get("outbox") else -1)
    for study in stream.studies:
        account.sent += len(study.sent)
        account.acknowledged += len(study.acknowledged)
        if not study.acknowledged:
            continue
        entry, stored, is_flagged = judge(study, gateway, version, results)
        account.studies += 1
        account.stored += len(stored)
        account.flagged += is_flagged
        account.told += results and is_flagged and not entry.untold
        account.entries.append(entry)
    return account


def settle(stream, gateway, quiet_seconds, say, results=False):
    """Waits until the outbox is empty, everything is accounted for and stays so; gives the last account, good or not.

    Gives up when nothing has changed for a while."""
    studies = [study for study in stream.studies if study.acknowledged]
    still_open = list(studies)
    started = time.monotonic()
    seen, changed_at, said_at = None, started, 0
    while True:
        status = gateway.status()
        waiting = status["outbox"]["waiting"] if status and status.get("outbox") else -1
        version = live_version(status)
        # One by one, as a busy gateway with many studies takes long to answer for all of them; and not while it has
        # more important things to do.
        if waiting == 0:
            still_open = [study for study in still_open if not judge(study, gateway, version, results)[0].is_good]
        if waiting == 0 and not still_open:
            account = draw_up(stream, gateway, results)
            time.sleep(quiet_seconds + 1)
            again = draw_up(stream, gateway, results)
            if account and again and not account.bad and not again.bad and again.waiting == 0:
                return again
            still_open = [entry.study for entry in (again.bad if again else [])] or list(studies)
        figures = (len(still_open), waiting)
        now = time.monotonic()
        if figures != seen:
            seen, changed_at = figures, now
        if now - changed_at > PATIENCE_SECONDS or now - started > LONGEST_SECONDS:
            return draw_up(stream, gateway, results) or Account()
        if time.monotonic() - said_at > 10:
            said_at = time.monotonic()
            say(f"waiting: {len(still_open)} of {len(studies)} studies open, {waiting} instances in the outbox")
        time.sleep(1)


def explain(entry, bench):
    """Where a study got stuck: rows of both databases."""
    uid = entry.study.uid
    lines = [f"study {uid}: lost {entry.lost}, twice {entry.twice}, missing in the archive {entry.missing}; "
             f"{entry.why or entry.wrong}"]
    if entry.untold or entry.again:
        lines.append(f"    not in the archive: {entry.untold}; there more than once: {entry.again}")
    queries = {
        "gateway": [
            "SELECT 'outcomes', o.outcome, o.reason, COUNT(*) FROM outcome o JOIN study s ON s.id = o.study "
            "WHERE s.study_instance_uid = ? GROUP BY 2, 3",
            "SELECT 'flag', f.state, f.revision, f.shown_revision FROM flag f JOIN study s ON s.id = f.study "
            "WHERE s.study_instance_uid = ?",
            "SELECT 'results', kind, state, reason, COUNT(*) FROM result WHERE study_instance_uid = ? GROUP BY 2, 3, 4"],
        "worker": [
            "SELECT 'instances', outcome, reason, COUNT(*) FROM instance WHERE study_instance_uid = ? GROUP BY 2, 3",
            "SELECT 'study', open, expected_instances, last_instance_at_ms FROM study WHERE study_instance_uid = ?",
            "SELECT 'flag', state, revision, acked_revision FROM flag WHERE study_instance_uid = ?",
            "SELECT 'report', revision, state, reason FROM report WHERE study_instance_uid = ?",
            "SELECT 'results', kind, revision, state, reason FROM result WHERE study_instance_uid = ?"]}
    for name, member in bench.members.items():
        for query in queries["gateway" if name == "gateway" else "worker"]:
            try:
                database = sqlite3.connect(f"file:{member.database}?mode=ro", uri=True, timeout=5)
                try:
                    rows = database.execute(query, (uid,)).fetchall()
                finally:
                    database.close()
            except sqlite3.Error as error:
                rows = [f"cannot be read: {error}"]
            lines += [f"    {name}: {row}" for row in rows]
    return lines
