# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateways that a torture run knows, under one face."""

import hashlib
import json
import urllib.error

from harness.archive import Archive, build_archive
from harness.orthanc import Orthanc


class OrthancGateway:
    def __init__(self, folder, settings):
        self.orthanc = Orthanc("gateway", folder / "orthanc", gantry=settings)
        self.process = self.orthanc.process
        self.dicom_port = self.orthanc.dicom_port

    def answers(self):
        try:
            return bool(self.orthanc.get("/system"))
        except OSError:
            return False

    def status(self):
        """`/gantry/status`; None while nobody answers."""
        try:
            return self.orthanc.get("/gantry/status")
        except OSError:
            return None

    def study(self, study):
        """What Gantry knows of a study; None when nothing."""
        try:
            return self.orthanc.study(study.uid)
        except OSError:
            return None

    def objects(self, study):
        """The SOPInstanceUIDs that are in the archive, Gantry's own included; one that is there twice is named twice."""
        try:
            instances = self.orthanc.get(f"/studies/{self._id(study)}/instances")
        except urllib.error.HTTPError:
            return []
        return [instance["MainDicomTags"]["SOPInstanceUID"] for instance in instances]

    def shows(self, study, flag):
        """Whether the gateway's own users see this flag and no older one."""
        try:
            shown = self.orthanc.get(f"/studies/{self._id(study)}/metadata/4200")
        except urllib.error.HTTPError:
            return False
        return shown["state"] == flag["state"] and shown["revision"] == flag["revision"]

    @staticmethod
    def _id(study):
        digest = hashlib.sha1(f"{study.patient}|{study.uid}".encode()).hexdigest()
        return "-".join(digest[at:at + 8] for at in range(0, 40, 8))


class ArchiveGateway:
    def __init__(self, folder, settings):
        program = build_archive(folder / "archive")
        self.archive = Archive(program, folder / "archive-files", settings)
        self.process = self.archive.process
        self.dicom_port = self.archive.dicom_port

    def answers(self):
        return self.archive.count() is not None

    def status(self):
        return self.archive.ask("status")

    def study(self, study):
        return self.archive.ask(f"study {study.uid}")

    def objects(self, study):
        found = self.study(study) or {"results": []}
        uids = study.instances | {result["object"] for result in found["results"]}
        return [uid for uid in uids if (self.archive.folder / f"{uid}.dcm").exists()]

    def shows(self, study, flag):
        """This host shows what Gantry answers."""
        return True


GATEWAYS = {"orthanc": OrthancGateway, "archive": ArchiveGateway}
