# SPDX-License-Identifier: GPL-3.0-or-later
"""Integration/Hosts/pour.c as a process: a gateway that pours made-up instances into the library."""

import json
import subprocess

from .processes import LIBRARY, ROOT, run


def build_pour(folder):
    """Compiles the host; gives its path."""
    program = folder / "pour"
    run("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/plugin/include",
        ROOT / "Integration/Hosts/pour.c", "-o", program, "-ldl")
    return program


class Pour:
    """Pours `count` instances of so many bytes, `per_second` of them (0: without a pause)."""

    def __init__(self, program, folder, count, size, per_second=0, **settings):
        self.folder = folder
        self.state = folder / "state"
        self.endpoint = f"ipc://{folder}/worker.ipc"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"Workers": [self.endpoint], **settings}
        self.child = subprocess.Popen(
            [str(part) for part in (program, LIBRARY, self.state, json.dumps(settings), count, size, per_second)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.asked = False

    def report(self):
        """What it costs now: the first time when everything was poured, then at once."""
        if self.asked:
            self.child.stdin.write("\n")
            self.child.stdin.flush()
        self.asked = True
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"pour ended with {self.child.wait()}")
        return json.loads(line)

    def disk_bytes(self):
        """What lies in the state folder."""
        return sum(file.stat().st_blocks * 512 for file in self.state.rglob("*") if file.is_file())

    def stop(self):
        self.child.stdin.close()
        return self.child.wait()
