// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcpath.h>
#include <dcmtk/dcmdata/dcuid.h>

#include <cstdlib>

#include "object.hpp"

namespace gantry {

namespace {

/// The report's own elements; those of the study are put over them.
void write_report(gr_object &object, DcmDataset &target) {
    DSRDocument &document = *object.document;
    DcmDataset report;
    check(document.createNewSeriesInStudy(OFString(object.study_instance_uid.c_str())), "report");
    if (document.getDocumentType() != DSRTypes::DT_KeyObjectSelectionDocument) {
        check(document.completeDocument(), "report");
        check(document.setPreliminaryFlag(DSRTypes::PF_Final), "report");
    }
    check(document.write(report), "report");
    move_elements(report, target);
}

void write_pixels(const gr_object &object, DcmDataset &target) {
    const auto put = [&](const DcmTagKey &tag, unsigned value) {
        check(target.putAndInsertUint16(DcmTag(tag), static_cast<Uint16>(value)), "pixel description");
    };
    put(DCM_SamplesPerPixel, 3);
    check(target.putAndInsertString(DCM_PhotometricInterpretation, "RGB"), "pixel description");
    put(DCM_PlanarConfiguration, 0);
    put(DCM_Rows, object.rows);
    put(DCM_Columns, object.columns);
    put(DCM_BitsAllocated, 8);
    put(DCM_BitsStored, 8);
    put(DCM_HighBit, 7);
    put(DCM_PixelRepresentation, 0);
    check(
        target.putAndInsertUint8Array(
            DCM_PixelData, object.rgb.data(), static_cast<unsigned long>(object.rgb.size())),
        "pixel data");
}

}  // namespace

void move_elements(DcmDataset &from, DcmDataset &target) {
    while (DcmElement *element = from.getElement(0)) {
        std::unique_ptr<DcmElement> owned(from.remove(element));
        if (target.tagExists(owned->getTag())) continue;
        check(target.insert(owned.get(), OFFalse), "an element");
        owned.release();
    }
}

std::vector<uint8_t> write_object(gr_object &object) {
    DcmDataset &target = *object.file.getDataset();
    if (object.document) {
        write_report(object, target);
    } else if (object.segmentation) {
        write_segmentation(object, target);
    } else {
        if (object.rgb.empty()) throw ResultFailure(GR_INVALID_ARGUMENT, "an image without pixels");
        check(target.putAndInsertString(DCM_SOPClassUID, UID_SecondaryCaptureImageStorage), "SOPClassUID");
        write_pixels(object, target);
    }
    DcmPathProcessor path;
    path.setItemWildcardSupport(OFFalse);
    for (const auto &[name, value] : object.attributes)
        check(
            path.applyPathWithValue(&target, OFString((name + "=" + value).c_str())), name.c_str(),
            GR_INVALID_ARGUMENT);
    constexpr E_TransferSyntax syntax = EXS_LittleEndianExplicit;
    check(object.file.validateMetaInfo(syntax), "meta header");
    // Room for the meta header.
    std::vector<uint8_t> bytes(size_t{object.file.calcElementLength(syntax, EET_ExplicitLength)} + 16384);
    DcmOutputBufferStream stream(bytes.data(), static_cast<offile_off_t>(bytes.size()));
    object.file.transferInit();
    check(
        object.file.write(
            stream, syntax, EET_ExplicitLength, nullptr, EGL_recalcGL, EPD_noChange, 0, 0, 0, EWM_createNewMeta),
        "file");
    object.file.transferEnd();
    void *written = nullptr;
    offile_off_t length = 0;
    stream.flushBuffer(written, length);
    bytes.resize(static_cast<size_t>(length));
    return bytes;
}

}  // namespace gantry
