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

/// What libjpeg takes for the colours of three components, but for streams that say nothing: JFIF is YCbCr, Adobe's marker
/// names its transform, and the components may be called R, G and B. Only chrominance is subsampled.
JpegHeader::Colours colours_of(bool is_jfif, int adobe_transform, const JpegMarkers &frame) {
    using Colours = JpegHeader::Colours;
    const uint8_t *const body = frame.body();
    if (body[5] != 3 || frame.count() < 15) return Colours::unsaid;
    if (is_jfif) return Colours::luminance_first;
    if (adobe_transform >= 0) return adobe_transform == 0 ? Colours::rgb : Colours::luminance_first;
    if (body[6] == 'R' && body[9] == 'G' && body[12] == 'B') return Colours::rgb;
    return body[7] != body[10] || body[7] != body[13] ? Colours::luminance_first : Colours::unsaid;
}

JpegHeader read_header(const Piece &stream) {
    JpegMarkers markers(stream);
    bool is_jfif = false;
    int adobe_transform = -1;
    while (markers.next() && markers.marker() != JpegMarkers::scan) {
        const uint8_t marker = markers.marker();
        const bool is_table = marker == JpegMarkers::tables || marker == 0xC8 || marker == 0xCC;
        const bool is_frame = (marker >= 0xC0 && marker <= 0xCF && !is_table) || marker == JpegMarkers::ls_frame;
        const uint8_t *const body = markers.body();
        if (marker == JpegMarkers::application && markers.count() >= 5 && std::memcmp(body, "JFIF", 5) == 0)
            is_jfif = true;
        if (marker == JpegMarkers::adobe && markers.count() >= 12 && std::memcmp(body, "Adobe", 5) == 0)
            adobe_transform = body[11];
        if (is_frame && markers.count() >= 6) {
            JpegHeader header;
            header.marker = marker;
            header.rows = read16(body + 1, true);
            header.columns = read16(body + 3, true);
            header.components = body[5];
            header.precision = body[0];
            header.colours = colours_of(is_jfif, adobe_transform, markers);
            return header;
        }
    }
    throw Failure(GI_DECODE_FAILED, "the compressed frame has no JPEG frame header");
}

template <typename Cell>
bool decode_here(const Piece &stream, const JpegHeader &header, Cell *out) {
    if (header.marker == JpegMarkers::lossless) return decode_jpeg_lossless(stream, header, out);
    if (header.marker == JpegMarkers::ls_frame) return decode_jpeg_ls(stream, header, out);
    if constexpr (sizeof(Cell) == 1) return header.is_common() && decode_jpeg_dct(stream, header, false, out);
    return false;
}

}  // namespace

Cells decode_jpeg(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    std::vector<uint8_t> storage;
    return decode_jpeg_stream(instance, instance.image(), joined(instance.compressed_frame(index), storage), scratch);
}

Cells decode_jpeg_stream(
    const gi_instance &instance, const Image &image, const Piece &stream, std::vector<uint8_t> &scratch) {
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
    if (header.precision < 2 || header.precision > 16)
        throw Failure(GI_DECODE_FAILED, "the JPEG frame has samples of %u bits", header.precision);
    if (header.precision > image.allocated)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG frame has %u bits, BitsAllocated (0028,0100) is %u", header.precision,
            image.allocated);
    const uint64_t needed = image.frame_samples() * header.width();
    if (needed > 0xFFFFFFFE)
        throw Failure(GI_TOO_LARGE, "a frame of %llu bytes", static_cast<unsigned long long>(needed));
    // The cells are as wide as the stream's samples, whatever BitsAllocated says.
    scratch.resize(needed);
    if (image.samples == 1) {
        const bool is_done = header.width() == 1
                                 ? decode_here(stream, header, scratch.data())
                                 : decode_here(stream, header, reinterpret_cast<uint16_t *>(scratch.data()));
        // JPEG-LS carries signed samples as two's complement of its own precision, lossless JPEG as the lower bits of the
        // stored ones: with fewer bits than those there is no sign among them.
        const bool is_ls = header.marker == JpegMarkers::ls_frame;
        const bool is_signed = image.is_signed && (is_ls || header.precision >= image.stored);
        const uint32_t bits = is_signed ? std::min(image.stored, header.precision) : header.width() * 8;
        if (is_done) return {scratch.data(), header.width(), 1, false, image.photometric, 0, bits, false, is_signed};
        return decode_with_dcmtk(instance, image, stream, header, image.photometric_name.c_str(), scratch);
    }
    const bool is_transformed = header.marker >= 0xC0 && header.marker <= 0xC2;
    if (!is_transformed || image.samples != 3)
        return decode_with_dcmtk(instance, image, stream, header, image.photometric_name.c_str(), scratch);
    const bool is_rgb = header.colours == JpegHeader::Colours::unsaid ? image.photometric == Photometric::rgb
                                                                      : header.colours == JpegHeader::Colours::rgb;
    if (header.is_common() && decode_jpeg_dct(stream, header, is_rgb, scratch.data()))
        return {scratch.data(), 1, is_rgb ? 3u : 1u, false, is_rgb ? Photometric::rgb : Photometric::monochrome2, 0, 8,
                false, false};
    return decode_with_dcmtk(instance, image, stream, header, is_rgb ? "RGB" : "YBR_FULL", scratch);
}

}  // namespace gantry
