// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcistrmb.h>

#include "object.hpp"

namespace gantry {

namespace {

/// Patient (PS3.3 C.7.1.1), General Study (C.7.2.1) and Patient Study (C.7.2.2), and what says how to read them.
const DcmTagKey shared[] = {
    DCM_SpecificCharacterSet,
    // Patient
    DCM_PatientName, DCM_PatientID, DCM_IssuerOfPatientID, DCM_TypeOfPatientID, DCM_IssuerOfPatientIDQualifiersSequence,
    DCM_PatientBirthDate, DCM_PatientBirthTime, DCM_PatientSex, DCM_OtherPatientIDsSequence, DCM_OtherPatientNames,
    DCM_EthnicGroup, DCM_PatientComments, DCM_QualityControlSubject, DCM_ReferencedPatientSequence,
    DCM_PatientSpeciesDescription, DCM_PatientSpeciesCodeSequence, DCM_PatientBreedDescription,
    DCM_PatientBreedCodeSequence, DCM_BreedRegistrationSequence, DCM_ResponsiblePerson, DCM_ResponsiblePersonRole,
    DCM_ResponsibleOrganization, DCM_PatientIdentityRemoved, DCM_DeidentificationMethod,
    DCM_DeidentificationMethodCodeSequence,
    // General Study
    DCM_StudyInstanceUID, DCM_StudyDate, DCM_StudyTime, DCM_ReferringPhysicianName,
    DCM_ReferringPhysicianIdentificationSequence, DCM_StudyID, DCM_AccessionNumber,
    DCM_IssuerOfAccessionNumberSequence, DCM_StudyDescription, DCM_PhysiciansOfRecord, DCM_NameOfPhysiciansReadingStudy,
    DCM_RequestingServiceCodeSequence, DCM_ReferencedStudySequence, DCM_ProcedureCodeSequence,
    // Patient Study
    DCM_AdmittingDiagnosesDescription, DCM_PatientAge, DCM_PatientSize, DCM_PatientWeight, DCM_MedicalAlerts,
    DCM_Allergies, DCM_SmokingStatus, DCM_PregnancyStatus, DCM_Occupation, DCM_AdditionalPatientHistory, DCM_AdmissionID,
};

/// Elements that have to be there, if need be empty.
const DcmTagKey required[] = {
    DCM_PatientName, DCM_PatientID, DCM_PatientBirthDate, DCM_PatientSex, DCM_StudyDate, DCM_StudyTime,
    DCM_ReferringPhysicianName, DCM_StudyID, DCM_AccessionNumber,
};

/// Whether a value keeps to its VR (PS3.5 6.2) and, where it has to be one of a few, to these. Names and identifiers are
/// taken as they are: another object of the study must not differ from it there.
bool is_allowed(DcmElement &element) {
    switch (element.ident()) {
        case EVR_AS:
        case EVR_CS:
        case EVR_DA:
        case EVR_DS:
        case EVR_IS:
        case EVR_TM: break;
        default: return true;
    }
    if (element.getTag() == DCM_SpecificCharacterSet) return true;
    if (element.checkValue("1-n").bad()) return false;
    if (element.getTag() != DCM_PatientSex) return true;
    OFString sex;
    element.getOFString(sex, 0);
    return sex.empty() || sex == "M" || sex == "F" || sex == "O";
}

/// PatientIdentityRemoved asks for the method (PS3.3 C.7.1.1), which many who remove it do not write.
void complete_deidentification(DcmDataset &to) {
    OFString removed;
    if (to.findAndGetOFString(DCM_PatientIdentityRemoved, removed).bad() || removed != "YES") return;
    if (to.tagExistsWithValue(DCM_DeidentificationMethod) ||
        to.tagExistsWithValue(DCM_DeidentificationMethodCodeSequence))
        return;
    check(
        to.putAndInsertString(DCM_DeidentificationMethod, "Not stated in the original instance"),
        "an element of the original instance");
}

}  // namespace

void copy_study(const void *original, size_t count, gr_object &object) {
    DcmFileFormat source;
    DcmInputBufferStream stream;
    stream.setBuffer(original, static_cast<offile_off_t>(count));
    stream.setEos();
    source.transferInit();
    // An original whose pixel data breaks off still has its header.
    const OFCondition read = source.read(stream);
    source.transferEnd();
    DcmDataset &from = *source.getDataset();
    OFString study;
    if (from.findAndGetOFString(DCM_StudyInstanceUID, study).bad() || study.empty())
        throw ResultFailure(
            GR_NOT_DICOM, std::string("the original instance has no StudyInstanceUID") +
                              (read.bad() ? std::string(": ") + read.text() : std::string()));
    object.study_instance_uid.assign(study.data(), study.size());
    DcmDataset &to = *object.file.getDataset();
    for (const DcmTagKey &tag : shared) {
        DcmElement *element = nullptr;
        if (from.findAndGetElement(tag, element).bad() || element == nullptr || !is_allowed(*element)) continue;
        std::unique_ptr<DcmElement> copy(OFstatic_cast(DcmElement *, element->clone()));
        if (!copy) throw std::bad_alloc();
        check(to.insert(copy.get(), OFTrue), "an element of the original instance");
        copy.release();
    }
    for (const DcmTagKey &tag : required)
        if (!to.tagExists(tag)) check(to.insertEmptyElement(tag), "an empty element");
    complete_deidentification(to);
}

}  // namespace gantry
