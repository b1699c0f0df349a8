# SPDX-License-Identifier: GPL-3.0-or-later
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.browser import Browser  # noqa: E402
from harness.gantry import Hospital, Hub, make_phantoms, new_package  # noqa: E402
from harness.orthanc import Orthanc  # noqa: E402
from harness.processes import ROOT, run  # noqa: E402
from harness.reading_room import Room  # noqa: E402
from harness.scripted_worker import ScriptedWorker  # noqa: E402


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """An untrained head CT package."""
    return new_package(tmp_path_factory.mktemp("package") / "head-ct")


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Four small head CT studies of one look."""
    return make_phantoms(tmp_path_factory.mktemp("phantoms"), studies=4, seed=11)


@pytest.fixture(scope="session")
def readers():
    """A Python with the PyPI packages that read DICOM reports, in a throw-away environment under .build."""
    folder = ROOT / ".build" / "highdicom"
    python = folder / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    run(python, "-m", "pip", "install", "--quiet", "highdicom==0.28.2", "pydicom==3.0.2")
    return python


@pytest.fixture
def start(tmp_path):
    """Makes hospitals and hubs that are stopped when the test ends, and keeps their logs on failure."""
    started = []

    class Starter:
        def hospital(self, name="hospital", **settings):
            hospital = Hospital(name, tmp_path / name, **settings)
            started.append(hospital)
            return hospital

        def hub(self, *options):
            hub = Hub(tmp_path / "hub", options)
            started.append(hub)
            return hub

        def process(self, process):
            started.append(process)
            return process

    yield Starter()
    for thing in reversed(started):
        thing.stop()


@pytest.fixture
def room(start, tmp_path):
    users = {"Dr. Noor": "radiologist", "Dr. A": "radiologist"}
    orthanc = start.process(Orthanc("gateway", tmp_path / "orthanc", users=users))
    worker = start.process(ScriptedWorker(orthanc.worker_endpoint)).start()
    orthanc.start()
    browser = start.process(Browser(tmp_path / "browser")).start()
    room = Room(orthanc, worker, browser)
    room.page.resize(1280, 800)
    return room
