#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random faults while DICOM streams into a gateway with Gantry, then the account: nothing lost, nothing twice."""

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from glob import glob
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import account  # noqa: E402
import disks  # noqa: E402
from bench import QUIET_SECONDS, Bench  # noqa: E402
from faults import KINDS  # noqa: E402
from gateways import GATEWAYS  # noqa: E402
from harness.processes import wait_until  # noqa: E402
from stream import Stream  # noqa: E402

STARTED = time.monotonic()
LARGEST_REPORT = 12


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


class Torture:
    def __init__(self, options, kinds, can_mount):
        self.options, self.kinds = options, kinds
        self.folder = Path(options.folder or tempfile.mkdtemp(prefix="gantry-faults-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bench = Bench(
            self.folder, options.host, options.workers, self.clock_followers(), can_mount, options.results,
            options.faults)
        self.bench.stream = Stream(self.folder, self.bench.gateway, options.seed, options.senders)
        self.injected = Counter()
        self.errors = []
        self.busy = set()
        self.free = threading.Condition()

    def clock_followers(self):
        """Whose clock the faults set back. libfaketime also moves the timers of libdispatch (timerfd), which no real
        change of the clock does; a worker that waits for its disk or for damage would wait for hours."""
        if not any(KINDS[kind].needs_clock for kind in self.kinds):
            return []
        if any(KINDS[kind].uses_worker_timers for kind in self.kinds):
            return ["gateway"]
        return ["gateway", *(f"worker-{number}" for number in range(self.options.workers))]

    def plan(self):
        """The faults, fixed by the seed: every kind in turn, in an order that changes from turn to turn."""
        rng = random.Random(self.options.seed)
        names = []
        while len(names) < self.options.faults:
            turn = list(self.kinds)
            rng.shuffle(turn)
            names += turn
        return [(name, rng.uniform(0.2, 2.5), rng.randrange(self.options.workers), rng.getrandbits(64))
                for name in names[:self.options.faults]]

    def inject_all(self):
        running = []
        for number, (name, pause, worker, seed) in enumerate(self.plan(), 1):
            time.sleep(pause)
            kind = KINDS[name]
            targets = {target.replace("worker", f"worker-{worker}") for target in kind.targets}
            with self.free:
                self.free.wait_for(lambda: not targets & self.busy)
                self.busy |= targets
            thread = threading.Thread(target=self._inject, args=(number, kind, f"worker-{worker}", seed, targets))
            thread.start()
            running = [each for each in running if each.is_alive()] + [thread]
        for thread in running:
            thread.join()

    def _inject(self, number, kind, worker, seed, targets):
        said = []
        injected_at = time.monotonic()
        try:
            steps = kind.body(self.bench, random.Random(seed), said.append, worker)
            for seconds in steps:
                time.sleep(seconds)
            self.injected[kind.name] += 1
        except Exception as error:  # shown with the account: a fault that could not be injected is no success
            self.errors.append(f"fault {number}, {kind.name}: {type(error).__name__}: {error}")
            said.append(f"FAILED: {error}")
        finally:
            with self.free:
                self.busy -= targets
                self.free.notify_all()
        where = f" {worker}" if self.options.workers > 1 and any("worker" in target for target in kind.targets) else ""
        at = injected_at - STARTED
        say(f"{number:3d} of {self.options.faults}  at {at:6.1f} s  {kind.name}{where}" + (f": {'; '.join(said)}" if said else ""))

    def run(self):
        say(f"seed {self.options.seed}, {self.options.faults} faults, {self.options.host}, "
            f"{self.options.workers} worker(s); everything is kept under {self.folder}")
        bench, stream = self.bench, self.bench.stream
        bench.start()
        wait_until("a model is live", lambda: account.live_version(bench.gateway.status()), 60)
        stream.start()
        self.inject_all()
        bench.heal()
        stream.finish()
        say("all faults are healed and everything is sent")
        drawn = account.settle(stream, bench.gateway, QUIET_SECONDS, say, self.options.results)
        if self.options.tamper:
            tamper(self.options.tamper.split(","), bench, stream)
            drawn = account.draw_up(stream, bench.gateway, self.options.results)
        for name in bench.members:
            bench.collect_set_aside(name)
        ok = self.report(drawn)
        if not ok:
            for disk in bench.disks.values():
                disk.keep()
        bench.stop()
        if bench.deaths and ok:
            ok = False
            print(f"  FAILED when stopping: {bench.deaths[-1][1]}")
        return ok

    def report(self, drawn):
        bench, stream = self.bench, self.bench.stream
        problems = [f"{sentence} after {seconds:.1f} s" for seconds, sentence in bench.deaths]
        problems += bench.unsaid + self.errors + stream.errors
        if stream.refused:
            problems.append(f"{stream.refused} instances were refused by the gateway")
        if drawn.waiting != 0:
            problems.append(f"{drawn.waiting} instances are still in the outbox")
        if drawn.acknowledged == 0:
            problems.append("nothing was acknowledged: the run proves nothing")
        print()
        print("faults       " + ", ".join(f"{name} {count}" for name, count in sorted(self.injected.items())))
        print(f"sent         {drawn.sent} instances in {stream.associations} associations")
        print(f"acknowledged {drawn.acknowledged} instances of {drawn.studies} studies ({drawn.stored} in the archive)")
        print(f"flagged      {drawn.flagged} of {drawn.studies} studies finally")
        if self.options.results:
            print(f"told         {drawn.told} of {drawn.studies} studies by a report and a key image in the archive")
        print(f"twice        {drawn.twice} flags" + (f", {drawn.again} objects" if self.options.results else ""))
        print(f"lost         {drawn.lost} instances")
        print("set aside    " + ", ".join(f"{name} {len(files)}" for name, files in bench.set_aside.items()))
        print("memory       " + ", ".join(
            f"{name} {member.largest_kilobytes / 1024:.0f} MB at most" for name, member in bench.members.items()))
        if bench.gave_up:
            print(f"restarts     {bench.gave_up} while a folder was read-only")
        ok = not problems and not drawn.bad
        for problem in problems[:LARGEST_REPORT]:
            print(f"  PROBLEM {problem}")
        for entry in drawn.bad[:LARGEST_REPORT]:
            print("  " + "\n  ".join(account.explain(entry, bench)))
        if len(drawn.bad) > LARGEST_REPORT:
            print(f"  and {len(drawn.bad) - LARGEST_REPORT} studies more")
        if self.options.result:
            Path(self.options.result).write_text(json.dumps({
                "seed": self.options.seed, "faults": dict(self.injected), "sent": drawn.sent,
                "acknowledged": drawn.acknowledged, "stored": drawn.stored, "studies": drawn.studies,
                "flagged": drawn.flagged, "twice": drawn.twice, "lost": drawn.lost, "wrong": drawn.wrong,
                "told": drawn.told, "objects_again": drawn.again,
                "set_aside": {name: len(files) for name, files in bench.set_aside.items()}, "problems": problems,
                "bad": {entry.study.uid: [len(entry.study.acknowledged), entry.lost, entry.twice] for entry in drawn.bad},
                "seconds": time.monotonic() - STARTED, "ok": ok}, indent=2))
        return ok


def tamper(ways, bench, stream):
    """Takes something away, or adds something, behind Gantry's back: the account must see it."""
    studies = [study for study in stream.studies if study.acknowledged]
    database = sqlite3.connect(bench.members["gateway"].database, timeout=20)
    with database:
        for way, study in zip(ways, studies):
            of_study = "study = (SELECT id FROM study WHERE study_instance_uid = ?)"
            if way == "flag":
                database.execute(f"DELETE FROM flag WHERE {of_study}", (study.uid,))
            elif way == "count":
                fewer = "json_extract(json, '$.instances.scored') - 1"
                database.execute(
                    f"UPDATE flag SET json = json_set(json, '$.instances.scored', {fewer}) WHERE {of_study}", (study.uid,))
            else:
                columns = [row[1] for row in database.execute("PRAGMA table_info(flag)")]
                others = ", ".join(column for column in columns if column != "flag")
                database.execute(
                    f"INSERT INTO flag (flag, {others}) SELECT flag || '-again', {others} FROM flag WHERE {of_study}",
                    (study.uid,))
            say(f"tampered with a study of {len(study.acknowledged)} instances: {way}")
    database.close()


def main():
    parser = argparse.ArgumentParser(
        prog="Integration/Faults/run", description=__doc__, epilog="kinds of faults: " + ", ".join(KINDS))
    parser.add_argument("--faults", type=int, default=25, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, help="draws kinds, moments and damage (default: a new one)")
    parser.add_argument("--host", choices=sorted(GATEWAYS), default="orthanc", help="the gateway (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, choices=(1, 2, 3), help="how many (default %(default)s)")
    parser.add_argument("--senders", type=int, default=3, help="associations at a time (default %(default)s)")
    parser.add_argument("--results", action="store_true", help="the worker also makes a report and a key image of every "
                        "study, and the account counts them in the archive")
    parser.add_argument("--kinds", help="only these kinds of faults, separated by commas")
    parser.add_argument("--folder", help="where to keep everything (default: a new one under the temporary directory)")
    parser.add_argument("--result", help="also write the account to this JSON file")
    parser.add_argument("--tamper", help="at the end do this to one study each, so that the run must fail: flag (remove "
                        "its flag), count (take one instance from it), twice (add a second flag)")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else list(KINDS)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        parser.error(f"unknown kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
    if options.tamper and set(options.tamper.split(",")) - {"flag", "count", "twice"}:
        parser.error("--tamper takes flag, count and twice, separated by commas")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
        sys.argv += ["--seed", str(options.seed)]
    can_mount = disks.enter_namespace()
    if not can_mount:
        say("mounting is not permitted: the faults of disks are left out")
        kinds = [kind for kind in kinds if not KINDS[kind].needs_disk]
    if not glob("/usr/lib/*/faketime/libfaketimeMT.so.1"):
        say("libfaketime is not installed: the faults of the clock are left out")
        kinds = [kind for kind in kinds if not KINDS[kind].needs_clock]
    if not kinds:
        parser.error("no kind of fault is left")

    torture = Torture(options, kinds, can_mount)
    ok = False
    try:
        ok = torture.run()
    except BaseException as error:
        say(f"stopped by {type(error).__name__}: {error}")
        torture.bench.stream.is_stopping.set()
        for disk in torture.bench.disks.values():
            disk.keep()
        torture.bench.stop()
        if not isinstance(error, (Exception, KeyboardInterrupt)):
            raise
    if ok and not options.folder:
        shutil.rmtree(torture.folder, ignore_errors=True)
    if not ok:
        again = [f"--faults {options.faults} --seed {options.seed} --host {options.host} --workers {options.workers}",
                 f"--senders {options.senders}", f"--kinds {options.kinds}" if options.kinds else "",
                 "--results" if options.results else ""]
        print(f"\nlogs and state: {torture.folder}")
        print(f"again: Integration/Faults/run {' '.join(filter(None, again))}")
    print(f"\nfaults: {'passed' if ok else 'FAILED'} in {time.monotonic() - STARTED:.0f} s, seed {options.seed}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
