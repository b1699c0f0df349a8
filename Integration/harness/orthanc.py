# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Orthanc with or without the plugin, and DICOM senders."""

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .processes import LIBRARY, Process, free_port, run, wait_until

ORTHANC = "/usr/sbin/Orthanc"
STORESCU = "/usr/bin/storescu"


class Orthanc:
    """One gateway with its own storage under `folder`."""

    PASSWORD = "a password"

    def __init__(self, name, folder, plugin=True, gantry=None, environment=None, extra=None, users=None):
        """`users`: roles by account; everybody must sign in then, and `get` and `post` do so as the first one."""
        self.name = name
        self.users = users or {}
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.http_port = free_port()
        self.dicom_port = free_port()
        self.worker_endpoint = f"ipc://{self.folder}/worker.ipc"
        configuration = {
            "Name": name,
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": False,
            "AuthenticationEnabled": bool(self.users),
            "RegisteredUsers": {user: self.PASSWORD for user in self.users},
            "RemoteAccessAllowed": False,
            "UnknownSopClassAccepted": True,
            "Plugins": [str(LIBRARY)] if plugin else [],
            **(extra or {}),
        }
        if plugin:
            configuration["Gantry"] = {
                "Name": name, "Workers": [self.worker_endpoint], "StateDirectory": str(self.folder / "gantry"),
                **({"Reviewers": {user: role for user, role in self.users.items() if role}} if self.users else {}),
                **(gantry or {}),
            }
        self.configuration_file = self.folder / "orthanc.json"
        self.configuration_file.write_text(json.dumps(configuration, indent=2))
        self.process = Process(
            name, [ORTHANC, self.configuration_file], self.folder / "orthanc.log", environment)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http_port}"

    def start(self):
        self.process.start()
        wait_until(f"{self.name} answers", self._answers, 120)
        return self

    def _answers(self):
        if not self.process.running:
            raise RuntimeError(f"{self.name} ended while starting:\n{self.process.log_text()[-3000:]}")
        try:
            return self.get("/system")
        except OSError:
            return None

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    # REST

    def headers(self, user=None):
        """What signs a request: of `user`, else of the first account; nothing where nobody signs in."""
        user = user or next(iter(self.users), None)
        if not self.users:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{self.PASSWORD}".encode()).decode()}

    def signing_in(self, user=None, url=None):
        """An address of the gateway, or of a proxy before it, after which a browser knows the password."""
        scheme, rest = (url or self.url).split("://")
        user = urllib.parse.quote(user or next(iter(self.users)), safe="")
        return f"{scheme}://{user}:{urllib.parse.quote(self.PASSWORD)}@{rest}/system"

    def open(self, path):
        """The open answer to a GET."""
        return urllib.request.urlopen(urllib.request.Request(self.url + path, headers=self.headers()), timeout=120)

    def get(self, path):
        """The JSON behind `path`; raises urllib.error.HTTPError (an OSError) on an HTTP error."""
        with self.open(path) as answer:
            return json.loads(answer.read())

    def post(self, path, document, user=None):
        request = urllib.request.Request(
            self.url + path, json.dumps(document).encode(), method="POST",
            headers={"Content-Type": "application/json", "Origin": self.url, **self.headers(user)})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def worklist(self):
        return self.get("/gantry/worklist")["studies"]

    def study(self, study):
        """The plugin's view of a study, by Orthanc id or StudyInstanceUID; None when it does not know it."""
        try:
            return self.get(f"/gantry/studies/{study}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def final_flags(self, study):
        """The final flags of a study, one for each model version."""
        found = self.study(study)
        return [flag for flag in found["flags"] if flag["state"] == "final"] if found else []

    def review(self, study, finding, verdict, user=None):
        return self.post(f"/gantry/studies/{study}/review", {"finding": finding, "verdict": verdict}, user)

    def waiting(self):
        """Instances that the worker has not acknowledged yet."""
        return self.get("/gantry/status")["outbox"]["waiting"]

    def live_version(self):
        """The ModelVersion id that flags studies now; None while there is none."""
        models = self.get("/gantry/status")["models"]
        return models["live"][0]["version"] if models and models["live"] else None

    def instances(self):
        return self.get("/statistics")["CountInstances"]

    # DICOM

    def send(self, files, check=True, calling="STORESCU"):
        """Sends files in one association with storescu; gives (accepted, time of the last response)."""
        return Sender(self, files, calling=calling).finish(check)


# storescu proposes a compressed transfer syntax only when told which.
PROPOSALS = {
    "1.2.840.10008.1.2.1.99": "-xd", "1.2.840.10008.1.2.2": "-xb", "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.4.50": "-xy", "1.2.840.10008.1.2.4.51": "-xx", "1.2.840.10008.1.2.4.57": "-xs",
    "1.2.840.10008.1.2.4.70": "-xs", "1.2.840.10008.1.2.4.80": "-xt", "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv", "1.2.840.10008.1.2.4.91": "-xw", "1.2.840.10008.1.2.5": "-xr",
}


def proposal(files):
    """The storescu option for the compressed transfer syntax among `files`, as a list of none or one."""
    found = run("/usr/bin/dcmdump", "-q", "-Un", "-M", "+P", "0002,0010", *files, check=False)
    options = {PROPOSALS[uid] for uid in re.findall(r"\[?(1\.2\.840\.10008\.[0-9.]+)", found) if uid in PROPOSALS}
    return sorted(options)[:1]


class Sender:
    """A running storescu whose responses are counted as they come."""

    def __init__(self, orthanc, files, proposals=None, calling="STORESCU"):
        """`proposals`: storescu's options for compressed transfer syntaxes; found in the files unless given."""
        files = [str(file) for file in files]
        proposals = proposal(files) if proposals is None else proposals
        # -v prints each response; -R proposes only what is in the files.
        self.child = subprocess.Popen(
            [STORESCU, "-v", "-R", *proposals, "-aet", calling, "-aec", "ORTHANC", "127.0.0.1",
             str(orthanc.dicom_port), *files],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1,
            env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"})
        self.sent = len(files)
        self.accepted = 0
        # Files with the response Success, and files with another response, in the order of the responses.
        self.acknowledged, self.refused = [], []
        self.current = None
        self.last_response = None
        self.lines = []

    def responses(self):
        """Yields the number of accepted instances after each response."""
        for line in self.child.stdout:
            self.lines.append(line)
            if "Sending file: " in line:
                self.current = line.split("Sending file: ", 1)[1].strip()
            if "Received Store Response" in line:
                self.last_response = time.monotonic()
                if "Success" in line:
                    self.accepted += 1
                    self.acknowledged.append(self.current)
                else:
                    self.refused.append(self.current)
                yield self.accepted

    def finish(self, check=True):
        for _ in self.responses():
            pass
        status = self.child.wait()
        if check and (status != 0 or self.accepted != self.sent):
            raise RuntimeError(
                f"storescu ended with {status}, {self.accepted} of {self.sent} accepted:\n{''.join(self.lines[-15:])}")
        return self.accepted, self.last_response
