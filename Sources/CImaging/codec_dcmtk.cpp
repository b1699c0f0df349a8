// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmdata/dcxfer.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpeg/djencode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/dcmjpls/djencode.h>
#include <dcmtk/oflog/oflog.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "codec_jpeg.hpp"

namespace gantry {

void start_dcmtk() {
    static std::once_flag once;
    std::call_once(once, [] {
        // DCMTK's own messages can carry values of patient elements; what matters comes back as an error text.
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        DJDecoderRegistration::registerCodecs();
        DJLSDecoderRegistration::registerCodecs();
        DJEncoderRegistration::registerCodecs();
        DJLSEncoderRegistration::registerCodecs();
        DcmRLEEncoderRegistration::registerCodecs();
    });
}

namespace {

void put(DcmDataset &data_set, const DcmTagKey &tag, uint32_t value) {
    data_set.putAndInsertUint16(DcmTag(tag), static_cast<Uint16>(value));
}

}  // namespace

Cells decode_with_dcmtk(
    const gi_instance &instance, const Image &image, const Piece &stream, const JpegHeader &header,
    const char *photometric, std::vector<uint8_t> &scratch) {
    start_dcmtk();
    DcmDataset data_set;
    put(data_set, DCM_SamplesPerPixel, image.samples);
    data_set.putAndInsertString(DCM_PhotometricInterpretation, photometric);
    put(data_set, DCM_Rows, image.rows);
    put(data_set, DCM_Columns, image.columns);
    put(data_set, DCM_BitsAllocated, header.width() * 8);
    put(data_set, DCM_BitsStored, header.precision);
    put(data_set, DCM_HighBit, header.precision - 1);
    put(data_set, DCM_PixelRepresentation, image.is_signed ? 1 : 0);
    if (image.samples > 1) put(data_set, DCM_PlanarConfiguration, image.planar ? 1 : 0);

    auto sequence = std::make_unique<DcmPixelSequence>(DCM_PixelSequenceTag);
    auto table = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    if (sequence->insert(table.get()).bad()) throw std::bad_alloc();
    table.release();
    auto item = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    // A fragment has an even number of bytes; a JPEG stream ends by its marker before the padding.
    if (stream.count > 0xFFFFFFFE) throw Failure(GI_TOO_LARGE, "a compressed frame of %zu bytes", stream.count);
    Uint8 *bytes = nullptr;
    if (item->createUint8Array(static_cast<Uint32>(stream.count + stream.count % 2), bytes).bad() || bytes == nullptr)
        throw std::bad_alloc();
    std::memcpy(bytes, stream.bytes, stream.count);
    if (stream.count % 2 == 1) bytes[stream.count] = 0;
    if (sequence->insert(item.get()).bad()) throw std::bad_alloc();
    item.release();

    auto pixel_data = std::make_unique<DcmPixelData>(DCM_PixelData);
    const DcmXfer transfer(instance.syntax().uid.c_str());
    pixel_data->putOriginalRepresentation(transfer.getXfer(), nullptr, sequence.release());
    DcmPixelData *const pixels = pixel_data.get();
    if (data_set.insert(pixels, OFTrue).bad()) throw std::bad_alloc();
    pixel_data.release();

    const uint32_t width = header.width();
    const uint64_t needed = image.frame_samples() * width;
    scratch.resize(needed + needed % 2);
    Uint32 fragment = 1;
    OFString color_model;
    const OFCondition condition = pixels->getUncompressedFrame(
        &data_set, 0, fragment, scratch.data(), static_cast<Uint32>(scratch.size()), color_model);
    if (condition.bad()) throw Failure(GI_DECODE_FAILED, "JPEG decoding failed: %s", condition.text());
    Uint16 planar = 0;
    data_set.findAndGetUint16(DCM_PlanarConfiguration, planar);
    const bool is_luminance_first = color_model.compare(0, 3, "YBR") == 0;
    return {
        scratch.data(), width, image.samples, planar == 1,
        image.samples == 1     ? image.photometric
        : is_luminance_first   ? Photometric::luminance_first
                               : Photometric::rgb,
        0, image.is_signed ? std::min(image.stored, header.precision) : width * 8, false, image.is_signed};
}

}  // namespace gantry
