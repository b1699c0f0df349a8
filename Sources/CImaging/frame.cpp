// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame.hpp"
#include "lookup_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

using namespace gantry;

namespace {

/// The value of a cell without the bits around it, with its sign.
template <typename Cell>
inline int64_t value_of(Cell cell, const Cells &cells, bool is_signed) noexcept {
    const uint64_t mask = cells.bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << cells.bits) - 1;
    const uint64_t value = (static_cast<uint64_t>(cell) >> cells.shift) & mask;
    if (!is_signed) return static_cast<int64_t>(value);
    const uint64_t sign = uint64_t{1} << (cells.bits - 1);
    return static_cast<int64_t>((value ^ sign)) - static_cast<int64_t>(sign);
}

void take_words(const Cells &cells, bool is_signed, gi_frame &frame) {
    const size_t count = frame.count();
    if (is_signed) {
        frame.type = gi_frame::Type::i16;
        int16_t *const out = frame.room<int16_t>();
        std::memcpy(out, cells.bytes, count * 2);
        const int left = 16 - static_cast<int>(cells.shift + cells.bits), right = 16 - static_cast<int>(cells.bits);
        if (!cells.is_extended && right > 0)
            for (size_t i = 0; i < count; ++i)
                out[i] = static_cast<int16_t>(static_cast<int16_t>(static_cast<uint16_t>(out[i]) << left) >> right);
    } else {
        frame.type = gi_frame::Type::u16;
        uint16_t *const out = frame.room<uint16_t>();
        std::memcpy(out, cells.bytes, count * 2);
        const auto mask = static_cast<uint16_t>((uint32_t{1} << cells.bits) - 1);
        if (cells.bits < 16)
            for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint16_t>(out[i] >> cells.shift) & mask;
    }
}

void take_bytes(const Cells &cells, bool is_signed, gi_frame &frame) {
    const size_t count = frame.count();
    if (is_signed) {
        frame.type = gi_frame::Type::i16;
        int16_t *const out = frame.room<int16_t>();
        for (size_t i = 0; i < count; ++i)
            out[i] = cells.is_extended ? static_cast<int8_t>(cells.bytes[i])
                                       : static_cast<int16_t>(value_of(cells.bytes[i], cells, true));
    } else {
        frame.type = gi_frame::Type::u8;
        uint8_t *const out = frame.room<uint8_t>();
        std::memcpy(out, cells.bytes, count);
        if (cells.bits < 8)
            for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(value_of(cells.bytes[i], cells, false));
    }
}

constexpr float no_picture = std::numeric_limits<float>::quiet_NaN();

bool is_padding(const gi_frame &frame, double stored) noexcept {
    return frame.has_padding && stored >= frame.padding_low && stored <= frame.padding_high;
}

template <typename Real>
void take_real(const Cells &cells, gi_frame &frame) {
    float *const out = frame.room<float>();
    frame.type = gi_frame::Type::f32;
    for (size_t i = 0; i < frame.count(); ++i) {
        Real value;
        std::memcpy(&value, cells.bytes + i * sizeof value, sizeof value);
        // Not-a-number and infinity mark what is no measurement.
        const auto narrow = static_cast<float>(value);
        out[i] = std::isfinite(narrow) && !is_padding(frame, value) ? narrow : no_picture;
    }
}

void take_long_words(const Cells &cells, bool is_signed, gi_frame &frame) {
    float *const out = frame.room<float>();
    frame.type = gi_frame::Type::f32;
    for (size_t i = 0; i < frame.count(); ++i) {
        uint32_t cell;
        std::memcpy(&cell, cells.bytes + i * 4, 4);
        const int64_t value = cells.is_extended ? static_cast<int32_t>(cell) : value_of(cell, cells, is_signed);
        out[i] = is_padding(frame, static_cast<double>(value)) ? no_picture : static_cast<float>(value);
    }
}

/// Luminance of colour (ITU-R BT.601).
double luminance(double red, double green, double blue) noexcept { return 0.299 * red + 0.587 * green + 0.114 * blue; }

/// Luminance, or the first sample where that is it.
template <typename Cell, typename Out>
void take_colour(const Cells &cells, gi_frame &frame, Out *out) {
    const size_t count = frame.count();
    const size_t step = cells.planar ? 1 : cells.samples, plane = cells.planar ? count : 1;
    const auto at = [&](size_t i, size_t sample) {
        Cell cell;
        std::memcpy(&cell, cells.bytes + (i * step + sample * plane) * sizeof cell, sizeof cell);
        return static_cast<double>(value_of(cell, cells, false));
    };
    for (size_t i = 0; i < count; ++i) {
        const double value =
            cells.photometric == Photometric::rgb ? luminance(at(i, 0), at(i, 1), at(i, 2)) : at(i, 0);
        out[i] = std::is_integral_v<Out> ? static_cast<Out>(value + 0.5) : static_cast<Out>(value);
    }
}

int64_t stored_value(const gi_frame &frame, size_t i) noexcept {
    switch (frame.type) {
        case gi_frame::Type::u8: return frame.samples<uint8_t>()[i];
        case gi_frame::Type::u16: return frame.samples<uint16_t>()[i];
        case gi_frame::Type::i16: return frame.samples<int16_t>()[i];
        default: return static_cast<int64_t>(std::clamp(frame.samples<float>()[i], -1e12f, 1e12f));
    }
}

void apply_palette(const gi_instance &instance, bool is_signed, gi_frame &frame) {
    LookupTable tables[3];
    for (uint32_t i = 0; i < 3; ++i) {
        const Element *const descriptor = instance.find(0x00281101 + i), *const data = instance.find(0x00281201 + i);
        const Element *const segments = instance.find(0x00281221 + i);
        tables[i] = data == nullptr && segments != nullptr
                        ? read_segmented_table(descriptor, *segments, is_signed)
                        : read_table(descriptor, data, is_signed, "palette colour");
    }
    std::vector<uint16_t> out(frame.count());
    for (size_t i = 0; i < out.size(); ++i) {
        const int64_t value = stored_value(frame, i);
        out[i] = static_cast<uint16_t>(luminance(tables[0](value), tables[1](value), tables[2](value)) + 0.5);
    }
    std::memcpy(frame.room<uint16_t>(), out.data(), out.size() * 2);
    frame.type = gi_frame::Type::u16;
}

/// Through the modality LUT, which takes the place of slope and intercept (PS3.3 C.11.1). Padding is stored values and does
/// not go through it.
void apply_modality_table(const gi_instance &instance, bool is_signed, gi_frame &frame) {
    const Element *const sequence = instance.find(0x00283000);
    if (sequence == nullptr) return;
    const auto items = DataSet::items(*sequence, 1);
    if (items.empty()) return;
    const DataSet item = DataSet::open(*sequence, items[0]);
    const LookupTable table = read_table(item.find(0x00283002), item.find(0x00283006), is_signed, "modality");
    std::vector<float> out(frame.count());
    const bool is_float = frame.type == gi_frame::Type::f32;
    for (size_t i = 0; i < out.size(); ++i) {
        const bool is_blank = is_float && std::isnan(frame.samples<float>()[i]);
        const int64_t value = is_blank ? 0 : stored_value(frame, i);
        out[i] = is_blank || is_padding(frame, static_cast<double>(value)) ? no_picture : table(value);
    }
    std::memcpy(frame.room<float>(), out.data(), out.size() * sizeof(float));
    frame.type = gi_frame::Type::f32;
    frame.has_padding = false;
    frame.slope = 1;
    frame.intercept = 0;
}

void read_rescale(const gi_instance &instance, uint32_t index, gi_frame &frame) {
    constexpr uint32_t macro = 0x00289145;
    frame.slope = 1;
    frame.intercept = 0;
    const bool has_slope = instance.frame_number(index, macro, 0x00281053, 0, &frame.slope);
    const bool has_intercept = instance.frame_number(index, macro, 0x00281052, 0, &frame.intercept);
    // Old objects without the module have neither; a slope that cannot be read must not pass as 1.
    if (!has_slope && !instance.frame_text(index, macro, 0x00281053).empty())
        throw Failure(GI_BAD_RESCALE, "RescaleSlope (0028,1053) is not a number");
    if (!has_intercept && !instance.frame_text(index, macro, 0x00281052).empty())
        throw Failure(GI_BAD_RESCALE, "RescaleIntercept (0028,1052) is not a number");
    if (frame.slope == 0 || std::fabs(frame.slope) > 1e9 || std::fabs(frame.intercept) > 1e12)
        throw Failure(GI_BAD_RESCALE, "RescaleSlope %g, RescaleIntercept %g", frame.slope, frame.intercept);
}

void read_window(const gi_instance &instance, uint32_t index, gi_frame &frame) {
    constexpr uint32_t macro = 0x00289132;
    frame.has_window = instance.frame_number(index, macro, 0x00281050, 0, &frame.window_center) &&
                       instance.frame_number(index, macro, 0x00281051, 0, &frame.window_width) &&
                       frame.window_width > 0;
    const std::string function = instance.frame_text(index, macro, 0x00281056);
    // PS3.3 C.11.2.1.2: a linear window has a width of at least 1.
    const bool is_linear = function != "SIGMOID" && function != "LINEAR_EXACT";
    frame.has_window = frame.has_window && !(is_linear && frame.window_width < 1);
    frame.window_function = function == "SIGMOID"        ? gi_frame::WindowFunction::sigmoid
                            : function == "LINEAR_EXACT" ? gi_frame::WindowFunction::linear_exact
                                                         : gi_frame::WindowFunction::linear;
}

/// The VOI LUT of PS3.3 C.11.2, where the instance has one. What is wrong with it matters to those who ask for the
/// instance's own window.
void read_voi_table(const gi_instance &instance, uint32_t index, bool is_signed, gi_frame &frame) {
    frame.voi_table.clear();
    frame.window_defect.clear();
    try {
        DataSet item;
        if (!instance.first_item(index, 0x00289132, 0x00283010, &item)) return;
        const bool is_below_zero = is_signed || frame.intercept < 0;
        const LookupTable table = read_table(item.find(0x00283002), item.find(0x00283006), is_below_zero, "VOI");
        const auto largest = static_cast<float>((uint32_t{1} << table.bits) - 1);
        frame.voi_first = static_cast<double>(table.first);
        frame.voi_table.reserve(table.entries.size());
        for (const uint16_t entry : table.entries) frame.voi_table.push_back(std::min(entry / largest, 1.f));
    } catch (const Failure &failure) {
        frame.voi_table.clear();
        if (!frame.has_window) frame.window_defect = failure.error.text;
    }
}

void read_place(const gi_instance &instance, uint32_t index, gi_frame &frame) {
    frame.spacing[0] = frame.spacing[1] = 0;
    const std::pair<uint32_t, uint32_t> sources[] = {{0x00289110, 0x00280030}, {0, 0x00181164}, {0, 0x00182010}};
    for (const auto &[macro, tag] : sources) {
        double row = 0, column = 0;
        if (!instance.frame_number(index, macro, tag, 0, &row) || !instance.frame_number(index, macro, tag, 1, &column))
            continue;
        if (row <= 0 || column <= 0) continue;
        frame.spacing[0] = row;
        frame.spacing[1] = column;
        break;
    }
    frame.has_orientation = true;
    // Without spacing, the shape of a pixel may be known all the same (PS3.3 C.7.6.3.1.7: height, width).
    double height = frame.spacing[0], width = frame.spacing[1];
    if (height <= 0) {
        height = width = 1;
        const bool is_known = instance.frame_number(index, 0, 0x00280034, 0, &height) &&
                              instance.frame_number(index, 0, 0x00280034, 1, &width) && height > 0 && width > 0;
        if (!is_known) height = width = 1;
    }
    frame.aspect = height / width;
    for (uint32_t i = 0; i < 6; ++i)
        frame.has_orientation =
            frame.has_orientation && instance.frame_number(index, 0x00209116, 0x00200037, i, &frame.orientation[i]);
}

void read_padding(const gi_instance &instance, const Image &image, bool is_signed, gi_frame &frame) {
    frame.has_padding = false;
    const bool is_grey = image.photometric == Photometric::monochrome1 || image.photometric == Photometric::monochrome2;
    if (image.samples != 1 || !is_grey) return;
    // PS3.3 C.7.5.1.1.2 and C.7.6.24.1: the value, and the other end of its range.
    const bool is_double = image.is_float && image.allocated == 64;
    const uint32_t tag = is_double ? 0x00280123 : image.is_float ? 0x00280122 : 0x00280120;
    const uint32_t limit_tag = is_double ? 0x00280125 : image.is_float ? 0x00280124 : 0x00280121;
    const Element *const element = instance.find(tag), *const limit = instance.find(limit_tag);
    double low = 0, high = 0;
    if (element == nullptr || !number(*element, 0, &low)) return;
    if (limit == nullptr || !number(*limit, 0, &high)) high = low;
    // The element's VR may disagree with PixelRepresentation; its bits do not.
    const auto as_stored = [&](double value) {
        if (image.is_float) return value;
        if (!is_signed) return value < 0 ? value + 65536 : value;
        if (value > 32767 && value < 65536) value -= 65536;
        if (image.stored >= 16) return value;
        const double range = uint32_t{1} << image.stored;
        return value >= range / 2 && value < range ? value - range : value;
    };
    frame.padding_low = std::min(as_stored(low), as_stored(high));
    frame.padding_high = std::max(as_stored(low), as_stored(high));
    frame.has_padding = true;
}

Cells decode_cells(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    switch (instance.syntax().coding) {
        case Coding::native: return unpack_native(instance, index, scratch);
        case Coding::encapsulated: return unpack_encapsulated(instance, index, scratch);
        case Coding::rle: return decode_rle(instance, index, scratch);
        case Coding::jpeg:
        case Coding::jpeg_ls: return decode_jpeg(instance, index, scratch);
        case Coding::jpeg_2000: return decode_jpeg_2000(instance, index, scratch);
        case Coding::jpeg_xl: return decode_jpeg_xl(instance, index, scratch);
        case Coding::unsupported: break;
    }
    throw Failure(GI_UNSUPPORTED_TRANSFER_SYNTAX, "the transfer syntax is not read");
}

void decode(gi_instance &instance, uint32_t index, gi_frame &frame) {
    const Image &image = instance.image();
    if (index >= image.frames)
        throw Failure(GI_NO_SUCH_FRAME, "frame %u of an instance with %u frames", index, image.frames);
    frame.rows = image.rows;
    frame.columns = image.columns;
    const Cells cells = decode_cells(instance, index, frame.scratch);
    const bool is_color = cells.samples > 1;
    read_padding(instance, image, cells.is_signed, frame);
    if (image.is_float) {
        if (cells.width == 4)
            take_real<float>(cells, frame);
        else
            take_real<double>(cells, frame);
    } else if (is_color && cells.width == 1) {
        frame.type = gi_frame::Type::u8;
        take_colour<uint8_t>(cells, frame, frame.room<uint8_t>());
    } else if (is_color && cells.width == 2) {
        frame.type = gi_frame::Type::u16;
        take_colour<uint16_t>(cells, frame, frame.room<uint16_t>());
    } else if (is_color) {
        frame.type = gi_frame::Type::f32;
        take_colour<uint32_t>(cells, frame, frame.room<float>());
    } else if (cells.width == 1) {
        take_bytes(cells, cells.is_signed, frame);
    } else if (cells.width == 2) {
        take_words(cells, cells.is_signed, frame);
    } else {
        take_long_words(cells, cells.is_signed, frame);
    }
    frame.is_monochrome1 = image.photometric == Photometric::monochrome1;
    read_rescale(instance, index, frame);
    if (image.photometric == Photometric::palette)
        apply_palette(instance, cells.is_signed, frame);
    else if (!is_color)
        apply_modality_table(instance, cells.is_signed, frame);
    // What is applied already.
    if (frame.type == gi_frame::Type::f32) frame.has_padding = false;
    read_window(instance, index, frame);
    read_voi_table(instance, index, cells.is_signed, frame);
    read_place(instance, index, frame);
}

template <typename T>
void write_values(const gi_frame &frame, float *out) {
    const T *const samples = frame.samples<T>();
    const auto slope = static_cast<float>(frame.slope), intercept = static_cast<float>(frame.intercept);
    for (size_t i = 0; i < frame.count(); ++i) out[i] = static_cast<float>(samples[i]) * slope + intercept;
    if (!frame.has_padding) return;
    for (size_t i = 0; i < frame.count(); ++i)
        if (is_padding(frame, static_cast<double>(samples[i]))) out[i] = no_picture;
}

}  // namespace

extern "C" {

gi_frame *gi_frame_new(void) {
    try {
        return new gi_frame;
    } catch (...) {
        return nullptr;
    }
}

void gi_frame_free(gi_frame *frame) { delete frame; }

int32_t gi_decode(gi_instance *instance, uint32_t index, gi_frame *frame, gi_error *error) {
    return guarded(error, [&] {
        if (instance == nullptr || frame == nullptr) throw Failure(GI_INVALID_ARGUMENT, "a null handle");
        frame->type = gi_frame::Type::none;
        frame->rows = frame->columns = 0;
        try {
            decode(*instance, index, *frame);
        } catch (...) {
            frame->type = gi_frame::Type::none;
            frame->rows = frame->columns = 0;
            throw;
        }
    });
}

int32_t gi_frame_describe(const gi_frame *frame, gi_frame_info *out) {
    if (frame == nullptr || out == nullptr || frame->type == gi_frame::Type::none) return GI_INVALID_ARGUMENT;
    *out = {frame->rows, frame->columns, frame->slope, frame->intercept, frame->is_monochrome1, frame->has_window,
            frame->window_center, frame->window_width, {frame->spacing[0], frame->spacing[1]}, frame->has_orientation,
            {}};
    std::copy(std::begin(frame->orientation), std::end(frame->orientation), std::begin(out->orientation));
    return GI_OK;
}

int32_t gi_frame_values(const gi_frame *frame, float *out, size_t count, gi_error *error) {
    return guarded(error, [&] {
        if (frame == nullptr || out == nullptr || frame->type == gi_frame::Type::none || count < frame->count())
            throw Failure(GI_INVALID_ARGUMENT, "an empty frame or too little room");
        switch (frame->type) {
            case gi_frame::Type::u8: write_values<uint8_t>(*frame, out); break;
            case gi_frame::Type::u16: write_values<uint16_t>(*frame, out); break;
            case gi_frame::Type::i16: write_values<int16_t>(*frame, out); break;
            default: write_values<float>(*frame, out); break;
        }
    });
}

}  // extern "C"
