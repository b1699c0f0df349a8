// SPDX-License-Identifier: GPL-3.0-or-later
//
// Segmentations (PS3.3 A.51) with DCMTK's dcmseg: binary, on the grid of the images that were segmented.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmfg/fgderimg.h>
#include <dcmtk/dcmfg/fgfracon.h>
#include <dcmtk/dcmfg/fgpixmsr.h>
#include <dcmtk/dcmfg/fgplanor.h>
#include <dcmtk/dcmfg/fgplanpo.h>
#include <dcmtk/dcmseg/segdoc.h>
#include <dcmtk/dcmseg/segment.h>

#include <array>
#include <cmath>

#include "object.hpp"

namespace gantry {

namespace {

/// Where a frame of an image lies in the patient.
struct Plane {
    OFString frame_of_reference;
    OFString sop_class_uid;
    OFString sop_instance_uid;
    Uint16 rows = 0;
    Uint16 columns = 0;
    Sint32 frames = 1;
    std::array<OFString, 3> position;
    std::array<OFString, 6> orientation;
    std::array<OFString, 2> spacing;
    OFString thickness;
};

/// A value of the image itself, of its shared or of its per-frame functional groups.
template <size_t count>
bool find(
    DcmItem &image, uint32_t frame, const DcmTagKey &group, const DcmTagKey &tag, std::array<OFString, count> &values) {
    const auto read = [&](DcmItem *item) {
        if (item == nullptr) return false;
        for (size_t index = 0; index < count; ++index)
            if (item->findAndGetOFString(tag, values[index], static_cast<unsigned long>(index)).bad() ||
                values[index].empty())
                return false;
        return true;
    };
    const std::pair<DcmTagKey, long> places[] = {
        {DCM_PerFrameFunctionalGroupsSequence, static_cast<long>(frame)}, {DCM_SharedFunctionalGroupsSequence, 0}};
    for (const auto &[sequence, index] : places) {
        DcmItem *groups = nullptr, *item = nullptr;
        if (image.findAndGetSequenceItem(sequence, groups, index).good() && groups != nullptr &&
            groups->findAndGetSequenceItem(group, item).good() && read(item))
            return true;
    }
    return read(&image);
}

Plane plane_of(const void *original, size_t count, uint32_t frame) {
    DcmFileFormat file;
    DcmInputBufferStream stream;
    stream.setBuffer(original, static_cast<offile_off_t>(count));
    stream.setEos();
    file.transferInit();
    // Only the header counts; pixel data that breaks off was decoded as far as it goes.
    static_cast<void>(file.read(stream));
    file.transferEnd();
    DcmItem &image = *file.getDataset();
    Plane plane;
    const auto need = [](bool is_there, const char *what) {
        if (!is_there)
            throw ResultFailure(GR_INVALID_ARGUMENT, std::string("a segmentation lies in space, and the image has no ") + what);
    };
    need(
        image.findAndGetUint16(DCM_Rows, plane.rows).good() && image.findAndGetUint16(DCM_Columns, plane.columns).good(),
        "rows and columns");
    // An image of one frame need not say so.
    static_cast<void>(image.findAndGetSint32(DCM_NumberOfFrames, plane.frames));
    need(
        image.findAndGetOFString(DCM_SOPClassUID, plane.sop_class_uid).good() &&
            image.findAndGetOFString(DCM_SOPInstanceUID, plane.sop_instance_uid).good(),
        "UIDs");
    need(
        image.findAndGetOFString(DCM_FrameOfReferenceUID, plane.frame_of_reference).good() &&
            !plane.frame_of_reference.empty(),
        "FrameOfReferenceUID");
    need(
        find(image, frame, DCM_PlanePositionSequence, DCM_ImagePositionPatient, plane.position),
        "ImagePositionPatient");
    need(
        find(image, frame, DCM_PlaneOrientationSequence, DCM_ImageOrientationPatient, plane.orientation),
        "ImageOrientationPatient");
    need(find(image, frame, DCM_PixelMeasuresSequence, DCM_PixelSpacing, plane.spacing), "PixelSpacing");
    std::array<OFString, 1> thickness;
    if (find(image, frame, DCM_PixelMeasuresSequence, DCM_SliceThickness, thickness)) plane.thickness = thickness[0];
    return plane;
}

/// Whether two planes can be parts of one segmentation: the same grid, shifted.
bool fit(const Plane &left, const Plane &right) {
    if (left.rows != right.rows || left.columns != right.columns ||
        left.frame_of_reference != right.frame_of_reference)
        return false;
    const auto differ = [](const OFString &one, const OFString &other) {
        return std::fabs(OFStandard::atof(one.c_str()) - OFStandard::atof(other.c_str())) > 1e-4;
    };
    for (size_t index = 0; index < 6; ++index)
        if (differ(left.orientation[index], right.orientation[index])) return false;
    return !differ(left.spacing[0], right.spacing[0]) && !differ(left.spacing[1], right.spacing[1]);
}

}  // namespace

/// A segmentation that is being made, and the grid of its first image.
struct Segmentation {
    std::unique_ptr<DcmSegmentation> document;
    Plane plane;
    /// Each image's place in the order of the slices, which is that in which they came.
    std::vector<OFString> slices;
};

void SegmentationDeleter::operator()(Segmentation *segmentation) const noexcept { delete segmentation; }

namespace {

/// Begins the document with what all frames share.
void begin(gr_object &object, const Plane &plane, const char *dimension_uid) {
    ContentIdentificationMacro content("1", "AI_RESULT", "AI result - not for diagnosis", "Gantry");
    // Overwritten when the object is finished; none may be empty.
    const IODGeneralEquipmentModule::EquipmentInfo equipment("Gantry", "Gantry", "0", "0");
    DcmSegmentation *made = nullptr;
    check(
        DcmSegmentation::createBinarySegmentation(made, plane.rows, plane.columns, equipment, content), "segmentation");
    object.segmentation.reset(new Segmentation);
    object.segmentation->document.reset(made);
    object.segmentation->plane = plane;
    DcmSegmentation &document = *made;
    check(document.getSeries().setSeriesNumber("1"), "series");
    check(document.getFrameOfReference().setFrameOfReferenceUID(plane.frame_of_reference), "frame of reference");
    IODMultiframeDimensionModule &dimensions = document.getDimensions();
    check(
        dimensions.addDimensionIndex(
            DCM_ReferencedSegmentNumber, dimension_uid, DCM_SegmentIdentificationSequence, "Segment"),
        "dimension");
    check(
        dimensions.addDimensionIndex(DCM_ImagePositionPatient, dimension_uid, DCM_PlanePositionSequence, "Slice"),
        "dimension");
    FGPixelMeasures measures;
    check(measures.setPixelSpacing(plane.spacing[0] + "\\" + plane.spacing[1]), "pixel spacing");
    // Type 1C for a slice of a volume; without a thickness the slice has none to tell.
    if (!plane.thickness.empty()) check(measures.setSliceThickness(plane.thickness), "slice thickness");
    check(document.addForAllFrames(measures), "pixel measures");
    const auto &o = plane.orientation;
    std::unique_ptr<FGPlaneOrientationPatient> orientation(
        FGPlaneOrientationPatient::createMinimal(o[0], o[1], o[2], o[3], o[4], o[5]));
    if (!orientation) throw ResultFailure(GR_INVALID_ARGUMENT, "ImageOrientationPatient of the image cannot be used");
    check(document.addForAllFrames(*orientation), "orientation");
}

void add_frame(gr_object &object, uint16_t segment, const Plane &plane, uint32_t frame, std::vector<Uint8> mask) {
    Segmentation &segmentation = *object.segmentation;
    const OFString name = plane.sop_instance_uid + " " + std::to_string(frame).c_str();
    auto place = std::find(segmentation.slices.begin(), segmentation.slices.end(), name);
    if (place == segmentation.slices.end()) place = segmentation.slices.insert(place, name);
    FGFrameContent content;
    check(content.setDimensionIndexValues(segment, 0), "dimension");
    check(content.setDimensionIndexValues(static_cast<Uint32>(place - segmentation.slices.begin()) + 1, 1), "dimension");
    std::unique_ptr<FGPlanePosPatient> position(
        FGPlanePosPatient::createMinimal(plane.position[0], plane.position[1], plane.position[2]));
    ImageSOPInstanceReferenceMacro source;
    check(source.setReferencedSOPClassUID(plane.sop_class_uid), "source image");
    check(source.setReferencedSOPInstanceUID(plane.sop_instance_uid), "source image");
    // Type 1C: of an image of several frames, each is named.
    if (plane.frames > 1) check(source.addReferencedFrameNumber(static_cast<Uint16>(frame + 1)), "source image");
    OFVector<ImageSOPInstanceReferenceMacro> sources;
    sources.push_back(source);
    std::unique_ptr<FGDerivationImage> derivation(DcmSegmentation::createDerivationImageFG(sources, ""));
    if (!position || !derivation) throw ResultFailure(GR_INVALID_ARGUMENT, "the place of the image cannot be used");
    OFVector<FGBase *> groups;
    groups.push_back(&content);
    groups.push_back(position.get());
    groups.push_back(derivation.get());
    check(segmentation.document->addFrame(mask.data(), segment, groups), "frame");
}

CodeSequenceMacro code_of(const gr_code &code) {
    if (code.value == nullptr || code.scheme == nullptr || code.meaning == nullptr)
        throw ResultFailure(GR_INVALID_ARGUMENT, "a code without value");
    return CodeSequenceMacro(code.value, code.scheme, code.meaning);
}

}  // namespace

void begin_segmentation(
    gr_object &object, const void *original, size_t count, uint32_t frame, const char *dimension_uid) {
    begin(object, plane_of(original, count, frame), dimension_uid);
}

uint16_t add_segment(
    gr_object &object, const char *label, const gr_code &category, const gr_code &type, const char *algorithm,
    const char *tracking_id, const char *tracking_uid) {
    DcmSegment *made = nullptr;
    check(
        DcmSegment::create(made, label, code_of(category), code_of(type), DcmSegTypes::SAT_AUTOMATIC, algorithm),
        "segment");
    std::unique_ptr<DcmSegment> segment(made);
    check(segment->setTrackingID(tracking_id), "segment");
    check(segment->setTrackingUID(tracking_uid), "segment");
    Uint16 number = 0;
    check(object.segmentation->document->addSegment(segment.get(), number), "segment");
    segment.release();
    return number;
}

void add_segment_frame(
    gr_object &object, uint16_t segment, const void *original, size_t count, uint32_t frame, const uint8_t *mask,
    uint32_t rows, uint32_t columns) {
    const Plane plane = plane_of(original, count, frame);
    if (!fit(object.segmentation->plane, plane) || plane.rows != rows || plane.columns != columns)
        throw ResultFailure(GR_INVALID_ARGUMENT, "the image has another grid than the first one");
    std::vector<Uint8> values(mask, mask + size_t{rows} * columns);
    for (Uint8 &value : values) value = value != 0 ? 1 : 0;
    add_frame(object, segment, plane, frame, std::move(values));
}

void write_segmentation(gr_object &object, DcmDataset &target) {
    DcmDataset made;
    if (object.segmentation->slices.empty())
        throw ResultFailure(GR_INVALID_ARGUMENT, "a segmentation without frames");
    check(object.segmentation->document->writeDataset(made), "segmentation");
    move_elements(made, target);
}

}  // namespace gantry
