# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what the steps of Integration/test did: names what failed and what was skipped, and ends with one line over all of
them. Exit status 1 when anything failed.

Usage: tally.py FOLDER, with steps.tsv (name, kind, exit status) and each step's log. Kinds:
  whole    the step is one test
  counted  its last line of the form "N passed, N failed" (", N skipped" may follow) counts; lines "skipped: …" say why
  swift    Swift Testing's output
  pytest   the file NAME.xml beside the log (JUnit)
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

COUNTED = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
# "✘ Test "a name" failed after 0.1 seconds with 1 issue.", and the like for what was passed or skipped.
SWIFT_TEST = re.compile(r"^\S+ Test (?!run |case )(.+?) (passed|failed|skipped)(?: after|[.:]| with|$)(.*)", re.MULTILINE)


@dataclass
class Tally:
    passed: int = 0
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)


def whole(log, tally, name, status):
    if status == 0:
        tally.passed += 1


def counted(log, tally, name, status):
    found = COUNTED.findall(log)
    if not found:
        return
    passed, failed, skipped = (int(number or 0) for number in found[-1])
    reasons = re.findall(r"^skipped: (.*)$", log, re.MULTILINE)
    tally.passed += passed
    tally.failed += [f"{name}: one of its parts"] * failed
    tally.skipped += (reasons + ["one of its parts"] * skipped)[:skipped]


def swift(log, tally, name, status):
    for test, outcome, rest in SWIFT_TEST.findall(log):
        if outcome == "passed":
            tally.passed += 1
        elif outcome == "failed":
            tally.failed.append(f"{name}: {test}")
        else:
            tally.skipped.append(f"{test} {rest.strip()}")


def pytest(log, tally, name, status, folder):
    file = folder / f"{name}.xml"
    if not file.exists():
        return
    for case in ElementTree.parse(file).iter("testcase"):
        title = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(title)
        elif skipped is not None:
            tally.skipped.append(f"{title}: {skipped.get('message')}")
        else:
            tally.passed += 1


def main(folder):
    total = Tally()
    for line in (folder / "steps.tsv").read_text().splitlines():
        name, kind, status = line.split("\t")
        log = (folder / f"{name}.log").read_text(errors="replace")
        step = Tally()
        if kind == "pytest":
            pytest(log, step, name, int(status), folder)
        else:
            {"whole": whole, "counted": counted, "swift": swift}[kind](log, step, name, int(status))
        # A step that failed without a test of its own that did, or that ran none, has failed as a whole.
        if not step.failed and (int(status) != 0 or not step.passed + len(step.skipped)):
            step.failed.append(f"{name} ended with {status}")
        print(f"{name:<12} {step.passed:>5} passed {len(step.failed):>4} failed {len(step.skipped):>4} skipped")
        total.passed += step.passed
        total.failed += step.failed
        total.skipped += step.skipped
    for reason in total.skipped:
        print(f"skipped  {reason}")
    for failure in total.failed:
        print(f"FAILED   {failure}")
    print(f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
