#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, end to end: two hospitals and a hub, from C-STORE to a better model. Run by Integration/demo."""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.gantry import FINDING, Hospital, Hub, area_under_curve, make_phantoms, new_package  # noqa: E402
from harness.processes import wait_until  # noqa: E402

# Phantoms say how many images their acquisition has.
QUIET_SECONDS = 0.5
STARTED = time.monotonic()


def say(text=""):
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}" if text else "", flush=True)


def each(hospitals, job):
    """Runs `job(hospital)` for all hospitals at once; gives the results by name and raises the first error."""
    results, errors = {}, []

    def one(hospital):
        try:
            results[hospital.name] = job(hospital)
        except BaseException as error:  # reported on the main thread
            errors.append(error)

    threads = [threading.Thread(target=one, args=(hospital,)) for hospital in hospitals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def probability(flag):
    """The study's probability of the demo's finding."""
    return next(finding["probability"] for finding in flag["findings"] if finding["finding"] == FINDING)


def positive(flag):
    return next(finding["positive"] for finding in flag["findings"] if finding["finding"] == FINDING)


class Demo:
    def __init__(self, options):
        self.options = options
        self.folder = Path(options.folder or tempfile.mkdtemp(prefix="gantry-demo-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.result = {"folder": str(self.folder)}
        self.hub = None
        self.hospitals = []

    # Set-up

    def start(self):
        say(f"everything is kept under {self.folder}")
        package = new_package(self.folder / "package", seed=self.options.model_seed)
        say("made an untrained model package: gantry model new --architecture small-cnn --task head-ct-haemorrhage")
        self.hub = Hub(self.folder / "hub", [
            "--rounds", self.options.rounds, "--quorum", 2, "--deadline", 120, "--pause", 0, "--interval", 0,
            "--minimum-labels", self.options.training // 2])
        self.hub.add_model(package)
        self.hospitals = [
            Hospital(name, self.folder / name, hub=self.hub, worker={"counted_quiet_seconds": QUIET_SECONDS})
            for name in ("hospital-a", "hospital-b")]
        self.hub.start()
        each(self.hospitals, lambda hospital: hospital.start())
        say(f"hub {self.hub.url}, " + ", ".join(
            f"{hospital.name} {hospital.orthanc.url}/gantry/app/" for hospital in self.hospitals))
        each(self.hospitals, self.make_studies)
        say(f"made {self.options.training} + {self.options.fresh} phantom head CTs for each hospital: gantry phantom head-ct")
        for hospital in self.hospitals:
            hospital.approve(60)
            wait_until(f"{hospital.name} has the hub's model", lambda: hospital.orthanc.live_version(), 60)
            say(f"{hospital.name} took the hub's model: gantry model approve head-ct-haemorrhage")

    def make_studies(self, hospital):
        look = hospital.name[-1]
        seed = self.options.seed + 1000 * (ord(look) - ord("a"))
        hospital.training = make_phantoms(
            hospital.folder / "training", self.options.training, seed, look, self.options.slices)
        hospital.fresh = make_phantoms(
            hospital.folder / "fresh", self.options.fresh, seed + 500, look, self.options.slices)

    # The department's day

    def read(self, hospital):
        """Sends the training studies and reviews each as a radiologist who knows the truth would."""
        before = hospital.orthanc.live_version()
        scores = []
        for number, study in enumerate(hospital.training, 1):
            hospital.orthanc.send(study.files)
            if number % 7 == 0:
                say(f"{hospital.name}: {number} of {len(hospital.training)} studies sent")
        flags = hospital.wait_for_flags([study.uid for study in hospital.training])
        for study in hospital.training:
            flag = flags[study.uid][0]
            if flag["model"]["version"] == before:
                scores.append((probability(flag), study.present))
            verdict = "agree" if positive(flag) == study.present else "disagree"
            hospital.orthanc.review(study.uid, FINDING, verdict)
        say(f"{hospital.name}: {len(hospital.training)} studies flagged and reviewed")
        return scores

    def wait_for_rounds(self):
        """Until all rounds are closed and both hospitals have decided on the last version."""
        seen = None

        def done():
            nonlocal seen
            closed = self.hub.rows("SELECT COUNT(*) AS n FROM round WHERE state = 'closed'")[0]["n"]
            contributions = self.hub.rows("SELECT COUNT(*) AS n FROM contribution")[0]["n"]
            live = [hospital.orthanc.live_version() for hospital in self.hospitals]
            now = (closed, contributions, tuple(live))
            if now != seen:
                seen = now
                say(f"federation: {closed} of {self.options.rounds} rounds closed, {contributions} contributions, live: "
                    + ", ".join(f"{hospital.name} {(version or 'none')[:8]}" for hospital, version in zip(self.hospitals, live)))
            if closed < self.options.rounds:
                return False
            # The last version is live, or the guard kept a better one: either way each site has reported on it. The
            # report may overtake the word to the gateway, so that is waited for as well: what the gateway shows as live
            # is what the fresh studies will be judged by.
            for hospital in self.hospitals:
                decisions = {row["version"]: row["decision"] for row in self.hub.rows(
                    "SELECT version, decision FROM version_report WHERE site = ?", hospital.name)}
                versions = self.hub.versions()
                if versions[-1] not in decisions:
                    return False
                if hospital.orthanc.live_version() != [each for each in versions if decisions.get(each) == "live"][-1]:
                    return False
            return True

        wait_until("the rounds are done", done, self.options.patience, interval=0.5)

    def read_fresh(self, hospital):
        """Sends fresh studies one by one; gives a row for the table for each."""
        rows = []
        for study in hospital.fresh:
            _, last_response = hospital.orthanc.send(study.files)

            def flagged():
                for row in hospital.orthanc.worklist():
                    if row["study"] == study.uid and row["state"] == "final":
                        return row
                return None

            row = wait_until(f"{study.uid} flagged at {hospital.name}", flagged, 60, interval=0.01)
            milliseconds = (time.monotonic() - last_response) * 1000
            flags = hospital.orthanc.final_flags(study.uid)
            rows.append({
                "hospital": hospital.name, "study": study.uid, "present": study.present,
                "probability": probability(flags[0]), "flagged": positive(flags[0]), "urgency": row["urgency"],
                "milliseconds": milliseconds, "final_flags": len(flags), "revision": flags[0]["revision"],
                "version": flags[0]["model"]["version"]})
        return rows

    # The account

    def run(self):
        self.start()
        before = each(self.hospitals, self.read)
        self.wait_for_rounds()
        first = self.hub.versions()[0]
        live = {hospital.name: hospital.orthanc.live_version() for hospital in self.hospitals}
        say("sending fresh studies, one after the other, to measure the time to the flag")
        after = each(self.hospitals, self.read_fresh)
        rows = [row for hospital in self.hospitals for row in after[hospital.name]]
        self.print_table(rows)
        ok = True
        contributions = self.hub.rows(
            "SELECT round, site, COUNT(*) AS n FROM contribution GROUP BY round, site ORDER BY round, site")
        self.result.update(rows=rows, first_version=first, live=live, contributions=contributions, hospitals={})
        print()
        for hospital in self.hospitals:
            auc_before = area_under_curve(before[hospital.name])
            auc_after = area_under_curve([(row["probability"], row["present"]) for row in after[hospital.name]])
            sent = hospital.worker.transcript.stat().st_size
            seen = sum(file.stat().st_size for study in hospital.training + hospital.fresh for file in study.files)
            self.result["hospitals"][hospital.name] = {
                "auc_before": auc_before, "auc_after": auc_after, "bytes_to_hub": sent, "bytes_of_images": seen}
            better = live[hospital.name] != first and auc_after is not None and auc_after >= 0.9 and auc_after > auc_before
            ok = ok and better
            print(f"{hospital.name}: AUC {auc_before:.3f} before (version {first[:8]}), {auc_after:.3f} after "
                  f"(version {live[hospital.name][:8]}, {len(hospital.fresh)} fresh studies); "
                  f"{sent / 1e6:.1f} MB of model deltas and hellos left the hospital, {seen / 1e6:.0f} MB of images did not")
        once = all(row["final_flags"] == 1 for row in rows)
        each_once = all(row["n"] == 1 for row in contributions)
        print(f"final flags: {'one for each study and model version' if once else 'NOT one for each study'}; "
              f"contributions: {len(contributions)}, {'one for each site and round' if each_once else 'NOT one for each site and round'}")
        ok = ok and once and each_once and len(contributions) == self.options.rounds * len(self.hospitals)
        self.result["ok"] = ok
        self.result["seconds"] = time.monotonic() - STARTED
        return ok

    def print_table(self, rows):
        print(f"\n{'hospital':<11} {'study':<46} {'truth':<8} {'flag':<10} {'urgency':<9} {'ms to flag':>10}")
        for row in rows:
            truth = "bleed" if row["present"] else "none"
            flag = f"{'yes' if row['flagged'] else 'no':<4}{row['probability']:.2f}"
            mark = "" if row["flagged"] == row["present"] else "  ← wrong"
            print(f"{row['hospital']:<11} {row['study']:<46} {truth:<8} {flag:<10} {row['urgency']:<9} "
                  f"{row['milliseconds']:>10.0f}{mark}")
        times = sorted(row["milliseconds"] for row in rows)
        print(f"last C-STORE response → final flag in /gantry/worklist: median {times[len(times) // 2]:.0f} ms, "
              f"p95 {times[int(len(times) * 0.95)]:.0f} ms, of which {QUIET_SECONDS * 1000:.0f} ms are the quiet period "
              f"after which a study whose acquisitions are full counts as complete")

    def print_places(self):
        print("\nWhere to look:")
        for hospital in self.hospitals:
            print(f"  {hospital.name} worklist    {hospital.orthanc.url}/gantry/app/")
            print(f"  {hospital.name} Orthanc     {hospital.orthanc.url}/app/explorer.html")
        print(f"  hub                   {self.hub.url}/")

    def stop(self):
        for hospital in self.hospitals:
            hospital.stop()
        if self.hub:
            self.hub.stop()


def main():
    parser = argparse.ArgumentParser(prog="Integration/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running; prints how to stop it")
    parser.add_argument("--training", type=int, default=28, help="studies to learn from, for each hospital (default %(default)s)")
    parser.add_argument("--fresh", type=int, default=20, help="studies to be judged on, for each hospital (default %(default)s)")
    parser.add_argument("--slices", type=int, default=20, help="slices in a study (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="federated rounds (default %(default)s)")
    # Which patients are held out follows from their ids. With seed 5 each hospital holds out at least two with and two
    # without a bleed among its 28, without which a site does not judge new versions and keeps the one it has.
    parser.add_argument("--seed", type=int, default=5, help="seed of the phantom studies (default %(default)s)")
    parser.add_argument("--model-seed", type=int, default=1, help="seed of the untrained model (default %(default)s)")
    parser.add_argument("--patience", type=int, default=300, help="seconds to wait for the rounds (default %(default)s)")
    parser.add_argument("--folder", help="where to keep everything (default: a new one under the temporary directory)")
    parser.add_argument("--result", help="also write the figures to this JSON file")
    options = parser.parse_args()

    demo = Demo(options)
    ok = False
    try:
        ok = demo.run()
    except (Exception, KeyboardInterrupt) as error:
        say(f"demo: stopped by {type(error).__name__}: {error}")
        say(f"the logs are under {demo.folder}")
    if options.result:
        Path(options.result).write_text(json.dumps(demo.result, indent=2))
    if demo.hospitals and demo.hub:
        demo.print_places()
    if options.keep and demo.hospitals:
        groups = [p.process.child.pid for p in (demo.hub, *(h.orthanc for h in demo.hospitals), *(h.worker for h in demo.hospitals))
                  if p and p.process.running]
        print(f"\nStill running; to stop it all: kill {' '.join(map(str, groups))}")
    else:
        demo.stop()
        if ok and not options.folder:
            shutil.rmtree(demo.folder)
    print(f"\ndemo: {'passed' if ok else 'FAILED'} in {time.monotonic() - STARTED:.0f} s")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
