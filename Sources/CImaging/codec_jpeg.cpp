// SPDX-License-Identifier: GPL-3.0-or-later
#include "codec_jpeg.hpp"

#include <algorithm>

namespace gantry {

Piece joined(const std::vector<Piece> &pieces, std::vector<uint8_t> &storage) {
    if (pieces.size() == 1) return pieces[0];
    storage.clear();
    for (const Piece &piece : pieces) storage.insert(storage.end(), piece.bytes, piece.bytes + piece.count);
    return {storage.data(), storage.size()};
}

JpegMarkers::JpegMarkers(const Piece &stream) : at_(stream.bytes + 2), end_(stream.bytes + stream.count) {
    if (stream.count < 4 || stream.bytes[0] != 0xFF || stream.bytes[1] != start)
        throw Failure(GI_DECODE_FAILED, "the compressed frame does not begin with a JPEG start marker");
}

bool JpegMarkers::next() {
    while (end_ - at_ >= 4) {
        if (at_[0] != 0xFF) throw Failure(GI_DECODE_FAILED, "the JPEG markers of the frame are damaged");
        marker_ = at_[1];
        if (marker_ == 0xFF) {
            ++at_;
            continue;
        }
        const bool is_alone = marker_ == 0x01 || (marker_ >= 0xD0 && marker_ <= start);
        if (is_alone) {
            at_ += 2;
            continue;
        }
        const uint32_t length = read16(at_ + 2, true);
        if (marker_ == end || length < 2 || length + size_t{2} > static_cast<size_t>(end_ - at_)) return false;
        body_ = at_ + 4;
        count_ = length - 2;
        at_ += 2 + length;
        return true;
    }
    return false;
}

namespace {

JpegHeader read_header(const Piece &stream) {
    JpegMarkers markers(stream);
    while (markers.next() && markers.marker() != JpegMarkers::scan) {
        const uint8_t marker = markers.marker();
        const bool is_table = marker == JpegMarkers::tables || marker == 0xC8 || marker == 0xCC;
        const bool is_frame = (marker >= 0xC0 && marker <= 0xCF && !is_table) || marker == JpegMarkers::ls_frame;
        const uint8_t *const body = markers.body();
        if (is_frame && markers.count() >= 6)
            return {marker, read16(body + 1, true), read16(body + 3, true), body[5], body[0]};
    }
    throw Failure(GI_DECODE_FAILED, "the compressed frame has no JPEG frame header");
}

template <typename Cell>
bool decode_here(const Piece &stream, const JpegHeader &header, Cell *out) {
    switch (header.marker) {
        case JpegMarkers::lossless: return decode_jpeg_lossless(stream, header, out);
        case JpegMarkers::ls_frame: return decode_jpeg_ls(stream, header, out);
        case JpegMarkers::baseline:
        case JpegMarkers::extended:
            if constexpr (sizeof(Cell) == 1) return header.precision == 8 && decode_jpeg_sequential(stream, header, out);
            return false;
        default: return false;
    }
}

}  // namespace

Cells decode_jpeg(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    const Image &image = instance.image();
    std::vector<uint8_t> storage;
    const Piece stream = joined(instance.compressed_frame(index), storage);
    const JpegHeader header = read_header(stream);
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
    const uint64_t needed = image.frame_samples() * (image.allocated / 8);
    if (needed > 0xFFFFFFFE)
        throw Failure(GI_TOO_LARGE, "a frame of %llu bytes", static_cast<unsigned long long>(needed));
    // Cells as wide as the precision needs; other forms are rare.
    const bool is_plain = image.samples == 1 && header.precision >= 2 && (header.precision > 8) == (image.allocated > 8);
    if (is_plain) {
        scratch.resize(needed);
        const bool is_done = image.allocated == 8
                                 ? decode_here(stream, header, scratch.data())
                                 : decode_here(stream, header, reinterpret_cast<uint16_t *>(scratch.data()));
        const uint32_t bits = image.is_signed ? std::min(image.stored, header.precision) : image.allocated;
        if (is_done) return {scratch.data(), image.allocated / 8, 1, false, image.photometric, 0, bits, false};
    }
    return decode_with_dcmtk(instance, image, stream, header, scratch);
}

}  // namespace gantry
