// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcpath.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcxfer.h>
#include <dcmtk/dcmjpeg/djrplol.h>
#include <dcmtk/dcmjpls/djrparam.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "frame.hpp"

namespace gantry {

namespace {

void check(const OFCondition &condition, const char *what) {
    if (condition.bad()) throw Failure(GI_WRITE_FAILED, "%.100s: %s", what, condition.text());
}

void put_description(DcmDataset &data_set, const gi_pixels &pixels) {
    const auto put = [&](const DcmTagKey &tag, uint32_t value) {
        check(data_set.putAndInsertUint16(DcmTag(tag), static_cast<Uint16>(value)), "pixel description");
    };
    put(DCM_SamplesPerPixel, 1);
    check(data_set.putAndInsertString(DCM_PhotometricInterpretation, pixels.photometric), "photometric interpretation");
    put(DCM_Rows, pixels.rows);
    put(DCM_Columns, pixels.columns);
    put(DCM_BitsAllocated, 16);
    put(DCM_BitsStored, pixels.bits_stored);
    put(DCM_HighBit, pixels.bits_stored - 1);
    put(DCM_PixelRepresentation, pixels.is_signed ? 1 : 0);
}

void put_jpeg_2000(DcmDataset &data_set, const gi_pixels &pixels, E_TransferSyntax transfer) {
    std::vector<uint8_t> stream = encode_jpeg_2000(pixels);
    if (stream.size() % 2 == 1) stream.push_back(0);
    auto sequence = std::make_unique<DcmPixelSequence>(DCM_PixelSequenceTag);
    auto table = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    check(sequence->insert(table.get()), "offset table");
    table.release();
    auto item = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    check(item->putUint8Array(stream.data(), static_cast<unsigned long>(stream.size())), "fragment");
    check(sequence->insert(item.get()), "fragment");
    item.release();
    auto pixel_data = std::make_unique<DcmPixelData>(DCM_PixelData);
    pixel_data->putOriginalRepresentation(transfer, nullptr, sequence.release());
    check(data_set.insert(pixel_data.get(), OFTrue), "pixel data");
    pixel_data.release();
}

void write(
    const gi_attribute *attributes, size_t attribute_count, const gi_pixels &pixels, const char *transfer_syntax,
    uint8_t **bytes, size_t *count) {
    start_dcmtk();
    const DcmXfer transfer(transfer_syntax);
    const E_TransferSyntax syntax = transfer.getXfer();
    DcmFileFormat file;
    DcmDataset &data_set = *file.getDataset();
    DcmPathProcessor path;
    path.setItemWildcardSupport(OFFalse);
    for (size_t i = 0; i < attribute_count; ++i) {
        const std::string assignment = std::string(attributes[i].path) + "=" + attributes[i].value;
        check(path.applyPathWithValue(&data_set, OFString(assignment.c_str())), attributes[i].path);
    }
    put_description(data_set, pixels);
    const size_t samples = size_t{pixels.rows} * pixels.columns;
    if (syntax == EXS_JPEG2000LosslessOnly) {
        put_jpeg_2000(data_set, pixels, syntax);
    } else {
        check(
            data_set.putAndInsertUint16Array(DCM_PixelData, pixels.values, static_cast<unsigned long>(samples)),
            "pixel data");
        const DJ_RPLossless jpeg_parameters;
        const DJLSRepresentationParameter jpeg_ls_parameters(0, OFTrue);
        const DcmRepresentationParameter *parameters = nullptr;
        if (syntax == EXS_JPEGProcess14SV1) parameters = &jpeg_parameters;
        if (syntax == EXS_JPEGLSLossless) parameters = &jpeg_ls_parameters;
        check(data_set.chooseRepresentation(syntax, parameters), "compression");
        if (!data_set.canWriteXfer(syntax))
            throw Failure(GI_WRITE_FAILED, "transfer syntax %.64s is not written", transfer_syntax);
        data_set.removeAllButCurrentRepresentations();
    }
    check(file.validateMetaInfo(syntax), "meta header");

    const Uint32 estimate = file.calcElementLength(syntax, EET_UndefinedLength);
    // Room for the meta header, and for a compressor that finds nothing to compress.
    const size_t capacity = size_t{estimate} + estimate / 64 + 8192;
    std::unique_ptr<uint8_t, void (*)(void *)> buffer(static_cast<uint8_t *>(std::malloc(capacity)), std::free);
    if (!buffer) throw std::bad_alloc();
    DcmOutputBufferStream stream(buffer.get(), static_cast<offile_off_t>(capacity));
    file.transferInit();
    check(
        file.write(
            stream, syntax, EET_UndefinedLength, nullptr, EGL_recalcGL, EPD_noChange, 0, 0, 0, EWM_createNewMeta),
        "file");
    file.transferEnd();
    // A deflated data set is still in the compressor.
    stream.flush();
    void *written = nullptr;
    offile_off_t length = 0;
    stream.flushBuffer(written, length);
    *count = static_cast<size_t>(length);
    *bytes = buffer.release();
}

}  // namespace

}  // namespace gantry

extern "C" int32_t gi_write(
    const gi_attribute *attributes, size_t attribute_count, const gi_pixels *pixels, const char *transfer_syntax,
    uint8_t **bytes, size_t *count, gi_error *error) {
    using namespace gantry;
    return guarded(error, [&] {
        if (pixels == nullptr || pixels->values == nullptr || pixels->photometric == nullptr ||
            transfer_syntax == nullptr || bytes == nullptr || count == nullptr ||
            (attributes == nullptr && attribute_count > 0) || pixels->rows == 0 || pixels->columns == 0 ||
            pixels->rows > 65535 || pixels->columns > 65535 || pixels->bits_stored == 0 || pixels->bits_stored > 16)
            throw Failure(GI_INVALID_ARGUMENT, "the instance to write is not described");
        *bytes = nullptr;
        *count = 0;
        write(attributes, attribute_count, *pixels, transfer_syntax, bytes, count);
    });
}
