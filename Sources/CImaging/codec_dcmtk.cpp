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

#include "frame.hpp"

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

Piece joined(const std::vector<Piece> &pieces, std::vector<uint8_t> &storage) {
    if (pieces.size() == 1) return pieces[0];
    storage.clear();
    for (const Piece &piece : pieces) storage.insert(storage.end(), piece.bytes, piece.bytes + piece.count);
    return {storage.data(), storage.size()};
}

namespace {

struct FrameHeader {
    uint32_t rows, columns, components, precision;
};

/// The frame header of a JPEG or JPEG-LS stream (ITU-T T.81 B.2.2, T.87 C.2.2).
FrameHeader read_frame_header(const Piece &stream) {
    const uint8_t *at = stream.bytes;
    const uint8_t *const end = at + stream.count;
    if (stream.count < 4 || at[0] != 0xFF || at[1] != 0xD8)
        throw Failure(GI_DECODE_FAILED, "the compressed frame does not begin with a JPEG start marker");
    at += 2;
    while (end - at >= 4) {
        if (at[0] != 0xFF) throw Failure(GI_DECODE_FAILED, "the JPEG markers of the frame are damaged");
        const uint8_t marker = at[1];
        if (marker == 0xFF) {
            ++at;
            continue;
        }
        if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
            at += 2;
            continue;
        }
        const uint32_t length = read16(at + 2, true);
        const bool is_table = marker == 0xC4 || marker == 0xC8 || marker == 0xCC;
        const bool is_frame = (marker >= 0xC0 && marker <= 0xCF && !is_table) || marker == 0xF7;
        if (is_frame && end - at >= 10)
            return {read16(at + 5, true), read16(at + 7, true), at[9], at[4]};
        if (marker == 0xDA || length < 2 || length + size_t{2} > static_cast<size_t>(end - at)) break;
        at += 2 + length;
    }
    throw Failure(GI_DECODE_FAILED, "the compressed frame has no JPEG frame header");
}

void put(DcmDataset &data_set, const DcmTagKey &tag, uint32_t value) {
    data_set.putAndInsertUint16(DcmTag(tag), static_cast<Uint16>(value));
}

}  // namespace

Cells decode_with_dcmtk(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    start_dcmtk();
    const Image &image = instance.image();
    std::vector<uint8_t> storage;
    const Piece stream = joined(instance.compressed_frame(index), storage);
    const FrameHeader header = read_frame_header(stream);
    // The stream is asked first so that a lying data set cannot make anybody allocate.
    if (header.rows != image.rows || header.columns != image.columns)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG frame is %u × %u, Rows × Columns is %u × %u", header.rows, header.columns,
            image.rows, image.columns);
    if (header.components != image.samples)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG frame has %u components, SamplesPerPixel (0028,0002) is %u", header.components,
            image.samples);
    if (image.allocated != 8 && image.allocated != 16)
        throw Failure(GI_BAD_GEOMETRY, "BitsAllocated (0028,0100) is %u in a JPEG image", image.allocated);
    if (header.precision > image.allocated)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG frame has %u bits, BitsAllocated (0028,0100) is %u", header.precision,
            image.allocated);

    DcmDataset data_set;
    put(data_set, DCM_SamplesPerPixel, image.samples);
    data_set.putAndInsertString(DCM_PhotometricInterpretation, image.photometric_name.c_str());
    put(data_set, DCM_Rows, image.rows);
    put(data_set, DCM_Columns, image.columns);
    put(data_set, DCM_BitsAllocated, image.allocated);
    put(data_set, DCM_BitsStored, image.stored);
    put(data_set, DCM_HighBit, image.high_bit);
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

    const uint32_t width = image.allocated / 8;
    const uint64_t needed = image.frame_samples() * width;
    if (needed > 0xFFFFFFFE)
        throw Failure(GI_TOO_LARGE, "a frame of %llu bytes", static_cast<unsigned long long>(needed));
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
        0, image.is_signed ? std::min(image.stored, header.precision) : width * 8, false};
}

}  // namespace gantry
