// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "frame.hpp"

namespace gantry {

/// The frame header of a JPEG or JPEG-LS stream (ITU-T T.81 B.2.2, T.87 C.2.2).
struct JpegHeader {
    uint8_t marker = 0;
    uint32_t rows = 0, columns = 0, components = 0, precision = 0;
    /// What the stream says of its colours: nothing, RGB, or YCbCr.
    enum class Colours { unsaid, rgb, luminance_first } colours = Colours::unsaid;

    /// Bytes of a decoded sample.
    uint32_t width() const noexcept { return precision > 8 ? 2 : 1; }
    /// Sequential or progressive DCT of 8 bits, which libjpeg decodes.
    bool is_common() const noexcept { return marker >= 0xC0 && marker <= 0xC2 && precision == 8; }
};

/// Walks the marker segments of a JPEG or JPEG-LS stream (T.81 B.1.1).
class JpegMarkers {
public:
    static constexpr uint8_t start = 0xD8, end = 0xD9, tables = 0xC4, scan = 0xDA, restart = 0xDD,
                             application = 0xE0, adobe = 0xEE, lossless = 0xC3, ls_frame = 0xF7, ls_parameters = 0xF8;

    explicit JpegMarkers(const Piece &stream);

    /// The next segment, without its length; false where no further one can be read.
    bool next();

    uint8_t marker() const noexcept { return marker_; }
    const uint8_t *body() const noexcept { return body_; }
    size_t count() const noexcept { return count_; }
    /// Behind the segment.
    const uint8_t *rest() const noexcept { return at_; }

private:
    const uint8_t *at_;
    const uint8_t *const end_;
    uint8_t marker_ = 0;
    const uint8_t *body_ = nullptr;
    size_t count_ = 0;
};

/// These decode a stream of one component, whose frame header was read, to rows × columns cells of `Cell`. They give
/// false for forms that they leave to DCMTK, and throw where the stream is damaged.
template <typename Cell>
bool decode_jpeg_lossless(const Piece &stream, const JpegHeader &header, Cell *out);
template <typename Cell>
bool decode_jpeg_ls(const Piece &stream, const JpegHeader &header, Cell *out);

/// Decodes a DCT stream of one or three components of 8 bits with libjpeg, whose samples are those of DCMTK in half the
/// time; false also where the stream is damaged: what is to be made of it, DCMTK decides. `out` has room for the samples
/// of all components where `is_rgb`, else for one, which becomes the luminance.
bool decode_jpeg_dct(const Piece &stream, const JpegHeader &header, bool is_rgb, uint8_t *out);

/// Decodes a JPEG or JPEG-LS stream.
Cells decode_jpeg_stream(
    const gi_instance &instance, const Image &image, const Piece &stream, std::vector<uint8_t> &scratch);

/// Decodes the stream with DCMTK's codecs, which are told what the stream says and not what the data set does.
Cells decode_with_dcmtk(
    const gi_instance &instance, const Image &image, const Piece &stream, const JpegHeader &header,
    const char *photometric, std::vector<uint8_t> &scratch);

}  // namespace gantry
