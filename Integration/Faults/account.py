# SPDX-License-Identifier: GPL-3.0-or-later
"""The account at the end of a run: what the gateway acknowledged against what was flagged."""

import sqlite3
import time
from dataclasses import dataclass, field

PATIENCE_SECONDS = 60


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
    why: str = ""

    @property
    def is_good(self):
        return not (self.lost or self.twice or self.wrong or self.missing)


@dataclass
class Account:
    entries: list = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    flagged: int = 0
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
    def bad(self):
        return [entry for entry in self.entries if not entry.is_good]


def judge(study, gateway, version):
    entry = Entry(study)
    stored = gateway.stored(study)
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
    return entry, stored, True


def live_version(status):
    models = status.get("models") if status else None
    return models["live"][0]["version"] if models and models.get("live") else None


def draw_up(stream, gateway):
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
        entry, stored, is_flagged = judge(study, gateway, version)
        account.studies += 1
        account.stored += len(stored)
        account.flagged += is_flagged
        account.entries.append(entry)
    return account


def settle(stream, gateway, quiet_seconds, say):
    """Waits until the outbox is empty, everything is accounted for and stays so; gives the last account, good or not.

    Gives up when nothing has become better for a while."""
    best, better_at = None, time.monotonic()
    was_good = False
    said_at = 0
    while True:
        account = draw_up(stream, gateway)
        if account:
            figures = (len(account.bad), account.lost + account.twice, max(account.waiting, 0))
            if best is None or figures < best:
                best, better_at = figures, time.monotonic()
            if not account.bad and account.waiting == 0:
                if was_good:
                    return account
                was_good = True
                time.sleep(quiet_seconds + 1)
                continue
            was_good = False
        if time.monotonic() - better_at > PATIENCE_SECONDS:
            return account or Account()
        if account and account.bad and time.monotonic() - said_at > 10:
            said_at = time.monotonic()
            say(f"waiting: {len(account.bad)} of {account.studies} studies open, {account.waiting} instances in the outbox")
        time.sleep(2)


def explain(entry, bench):
    """Where a study got stuck: rows of both databases."""
    uid = entry.study.uid
    lines = [f"study {uid}: lost {entry.lost}, twice {entry.twice}, missing in the archive {entry.missing}; "
             f"{entry.why or entry.wrong}"]
    queries = {
        "gateway": [
            "SELECT 'outcomes', o.outcome, o.reason, COUNT(*) FROM outcome o JOIN study s ON s.id = o.study "
            "WHERE s.study_instance_uid = ? GROUP BY 2, 3",
            "SELECT 'flag', f.state, f.revision, f.shown_revision FROM flag f JOIN study s ON s.id = f.study "
            "WHERE s.study_instance_uid = ?"],
        "worker": [
            "SELECT 'instances', outcome, reason, COUNT(*) FROM instance WHERE study_instance_uid = ? GROUP BY 2, 3",
            "SELECT 'study', open, expected_instances, last_instance_at_ms FROM study WHERE study_instance_uid = ?",
            "SELECT 'flag', state, revision, acked_revision FROM flag WHERE study_instance_uid = ?"]}
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
