// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instance.hpp"

/// The handle behind `gi_frame`: stored values of one sample per pixel, in the narrowest type that holds them.
struct gi_frame {
    enum class Type { none, u8, u16, i16, f32 };

    Type type = Type::none;
    uint32_t rows = 0, columns = 0;
    /// Stored value to modality value.
    double slope = 1, intercept = 0;
    bool is_monochrome1 = false;
    /// The window, for values after slope and intercept; `window_function` as VOILUTFunction (0028,1056).
    bool has_window = false;
    double window_center = 0, window_width = 0;
    enum class WindowFunction { linear, linear_exact, sigmoid } window_function = WindowFunction::linear;
    /// The VOI LUT, which comes before the window: 0…1 for each modality value from `voi_first` on. Empty where there is
    /// none.
    std::vector<float> voi_table;
    double voi_first = 0;
    /// Why the instance's own window cannot be applied; empty where it can.
    std::string window_defect;
    /// Stored values from `padding_low` to `padding_high` are no picture (PixelPaddingValue). In `f32` not-a-number is none.
    bool has_padding = false;
    double padding_low = 0, padding_high = 0;
    double spacing[2] = {0, 0};
    /// Height of a pixel over its width.
    double aspect = 1;
    bool has_orientation = false;
    double orientation[6] = {0, 0, 0, 0, 0, 0};

    /// Room for the samples; kept from frame to frame.
    std::vector<uint8_t> storage;
    /// Decoded bytes of colour or of frames that need another layout; kept from frame to frame.
    std::vector<uint8_t> scratch;

    size_t count() const noexcept { return size_t{rows} * columns; }
    template <typename T>
    T *samples() noexcept { return reinterpret_cast<T *>(storage.data()); }
    template <typename T>
    const T *samples() const noexcept { return reinterpret_cast<const T *>(storage.data()); }
    template <typename T>
    T *room() {
        storage.resize(count() * sizeof(T));
        return samples<T>();
    }
};

namespace gantry {

/// Decoded cells before masking: `width` bytes each in host order, interleaved or by planes.
struct Cells {
    const uint8_t *bytes;
    /// 1, 2 or 4.
    uint32_t width;
    uint32_t samples;
    bool planar;
    Photometric photometric;
    /// The value of a cell is its `bits` bits above the lowest `shift`.
    uint32_t shift;
    uint32_t bits;
    /// The decoder has given signed values their sign already.
    bool is_extended;
    bool is_signed;
};

/// Decodes the compressed frame into `scratch`.
Cells decode_jpeg(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch);
Cells decode_jpeg_2000(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch);
Cells decode_jpeg_xl(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch);
Cells decode_rle(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch);
Cells unpack_native(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch);
/// Native cells of a frame in fragments of its own.
Cells unpack_encapsulated(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch);

/// Registers DCMTK's codecs and silences its logger, once in a process.
void start_dcmtk();

/// The pieces of a compressed frame as one range: the file's own bytes where there is one piece.
Piece joined(const std::vector<Piece> &pieces, std::vector<uint8_t> &storage);

/// Compresses one 16-bit frame without loss.
std::vector<uint8_t> encode_jpeg_2000(const gi_pixels &pixels);

}  // namespace gantry
