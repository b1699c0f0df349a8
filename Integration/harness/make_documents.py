# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of a radiology department, written with highdicom: run by a Python that has it.

make_documents.py report OUT PRESENT|ABSENT VERIFIED|UNVERIFIED PREDECESSOR|- IMAGE...
make_documents.py key-objects OUT SCHEME VALUE MEANING IMAGE...
"""

import sys

import highdicom
import pydicom
from highdicom.sr import (
    CodedConcept, ComprehensiveSR, MeasurementReport,
    MeasurementsAndQualitativeEvaluations, ObservationContext, ObserverContext, PersonObserverIdentifyingAttributes,
    QualitativeEvaluation, TrackingIdentifier)
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.sr.codedict import codes

HAEMORRHAGE = CodedConcept("1386000", "SCT", "Intracranial hemorrhage")
READER = "Reader^Rita"


def observer():
    return ObserverContext(
        observer_type=codes.DCM.Person, observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=READER))


def report(out, presence, verification, predecessor, *images):
    evidence = [pydicom.dcmread(image, stop_before_pixels=True) for image in images]
    value = CodedConcept("121053", "DCM", "Present") if presence == "PRESENT" else CodedConcept("121054", "DCM", "Absent")
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=highdicom.UID(), identifier="reading"), finding_type=HAEMORRHAGE,
        qualitative_evaluations=[
            QualitativeEvaluation(name=CodedConcept("121052", "DCM", "Presence of property"), value=value)])
    content = MeasurementReport(
        observation_context=ObservationContext(observer_person_context=observer()),
        procedure_reported=CodedConcept("25045-6", "LN", "CT unspecified body region"), imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport)
    verified = verification == "VERIFIED"
    document = ComprehensiveSR(
        evidence=evidence, content=content[0], series_number=900, series_instance_uid=highdicom.UID(),
        sop_instance_uid=highdicom.UID(), instance_number=1, manufacturer="Department", is_complete=True,
        is_final=verified, is_verified=verified, verifying_observer_name=READER if verified else None,
        verifying_organization="Department" if verified else None,
        previous_versions=None if predecessor == "-" else [pydicom.dcmread(predecessor)])
    document.save_as(out, enforce_file_format=True)


def key_objects(out, scheme, value, meaning, *images):
    evidence = [pydicom.dcmread(image, stop_before_pixels=True) for image in images]
    content = KeyObjectSelection(
        document_title=CodedConcept(value, scheme, meaning), referenced_objects=evidence[:1],
        observer_person_context=observer())
    KeyObjectSelectionDocument(
        evidence=evidence[:1], content=content, series_instance_uid=highdicom.UID(), series_number=901,
        sop_instance_uid=highdicom.UID(), instance_number=1, manufacturer="Department",
    ).save_as(out, enforce_file_format=True)


if __name__ == "__main__":
    {"report": report, "key-objects": key_objects}[sys.argv[1]](*sys.argv[2:])
