// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "data_set.hpp"

namespace gantry {

/// How the pixel data is written.
enum class Coding { native, encapsulated, rle, jpeg, jpeg_ls, jpeg_2000, jpeg_xl, unsupported };

struct TransferSyntax {
    std::string uid;
    Coding coding = Coding::native;
    /// The pixel words of native data.
    bool big_endian_pixels = false;
    bool deflated = false;
    Encoding encoding;
};

enum class Photometric { monochrome1, monochrome2, palette, rgb, luminance_first };

/// The pixel description, checked.
struct Image {
    uint32_t rows = 0, columns = 0, frames = 1, samples = 1;
    uint32_t allocated = 0, stored = 0, high_bit = 0;
    bool is_signed = false, planar = false;
    /// FloatPixelData or DoubleFloatPixelData.
    bool is_float = false;
    Photometric photometric = Photometric::monochrome2;
    std::string photometric_name;
    const Element *pixels = nullptr;

    uint64_t frame_samples() const noexcept { return uint64_t{rows} * columns * samples; }
};

/// One compressed frame: pieces of the file in order.
struct Piece {
    const uint8_t *bytes;
    size_t count;
};

}  // namespace gantry

/// The handle behind `gi_instance`.
struct gi_instance {
    gi_instance(const uint8_t *bytes, size_t count, const gi_limits &limits);

    const gantry::TransferSyntax &syntax() const noexcept { return syntax_; }
    const gantry::DataSet &root() const noexcept { return root_; }
    const gi_limits &limits() const noexcept { return limits_; }

    /// Null when absent.
    const gantry::Element *find(uint32_t tag) const noexcept;
    /// An attribute of a frame: from the per-frame or shared functional groups, else from the top level.
    bool frame_number(
        uint32_t frame, uint32_t macro, uint32_t tag, uint32_t index, double *value) const;
    std::string frame_text(uint32_t frame, uint32_t macro, uint32_t tag) const;

    /// The first item of a sequence of a frame, found as `frame_number` finds its attributes.
    bool first_item(uint32_t frame, uint32_t macro, uint32_t tag, gantry::DataSet *out) const;

    /// Throws when the instance has no frames that could be decoded.
    const gantry::Image &image();
    std::vector<gantry::Piece> compressed_frame(uint32_t index);

private:
    void read_syntax(const gantry::DataSet &meta);
    void inflate(const uint8_t *begin, const uint8_t *end);
    /// Finds the first fragment of each frame; sets the number of frames where the data set does not say it.
    void index_fragments(bool is_counted);
    bool in_functional_groups(
        uint32_t frame, uint32_t macro, uint32_t tag, gantry::DataSet *holder, const gantry::Element **out) const;

    gi_limits limits_;
    gantry::TransferSyntax syntax_;
    gantry::DataSet meta_;
    gantry::DataSet root_;
    std::vector<uint8_t> inflated_;
    std::vector<gantry::DataSet::Item> shared_, per_frame_;
    bool has_image_ = false;
    gantry::Image image_;
    std::vector<gantry::Piece> fragments_;
    /// First fragment of each frame, then the number of fragments.
    std::vector<size_t> first_fragment_;
};

namespace gantry {

/// The bytes of a text element without padding.
std::string raw_text(const Element &element);
/// The `index`th number of an element of any numeric VR; implicit elements are read by the dictionary of this library.
bool number(const Element &element, uint32_t index, double *value) noexcept;
bool natural(const Element *element, uint32_t *value) noexcept;
/// UTF-8 by SpecificCharacterSet; Latin-1 where the declared set does not fit the bytes.
std::string utf8(const std::string &bytes, const std::string &character_set, bool is_affected);

}  // namespace gantry
