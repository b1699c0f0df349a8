// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "failure.hpp"

namespace gantry {

/// How a data set's elements are written (PS3.5 section 7 and annex A).
struct Encoding {
    bool explicit_vr = true;
    bool big_endian = false;
};

/// One data element; `value` points into the instance's bytes.
struct Element {
    uint32_t tag = 0;
    uint16_t vr = 0;
    bool undefined_length = false;
    /// The element claims more bytes than there are.
    bool is_cut = false;
    Encoding encoding;
    const uint8_t *value = nullptr;
    /// Bytes present; for undefined length without the closing delimiter.
    size_t length = 0;
    /// What the element claims, when defined.
    uint32_t claimed_length = 0;
};

/// The elements of one data set or sequence item, found without copying a value.
///
/// This walker exists beside DCMTK's parser because it must hold on any input: nesting is bounded, no length is
/// believed before it is compared with the bytes there are, nothing is allocated by a claimed size, and pixel data is
/// used where it lies.
class DataSet {
public:
    static constexpr int maximum_depth = 32;
    static constexpr size_t maximum_elements = 100'000;

    DataSet() = default;
    /// Throws Failure only when `tolerant` is false; else the defect is kept.
    DataSet(const uint8_t *begin, const uint8_t *end, Encoding encoding, int depth, bool tolerant);

    const Element *find(uint32_t tag) const noexcept;
    bool empty() const noexcept { return elements_.empty(); }
    const std::vector<Element> &elements() const noexcept { return elements_; }
    /// GI_OK when the walk reached the end.
    const gi_error &defect() const noexcept { return defect_; }

    /// The items of a sequence of this data set, as byte ranges.
    struct Item {
        const uint8_t *begin;
        const uint8_t *end;
    };
    static std::vector<Item> items(const Element &sequence, int depth);
    static DataSet open(const Element &sequence, const Item &item);

private:
    std::vector<Element> elements_;
    gi_error defect_ = {GI_OK, {0}};
};

/// The file meta group at `begin`; sets `end_of_meta`.
DataSet read_meta(const uint8_t *begin, const uint8_t *end, const uint8_t **end_of_meta);

/// Looks at a data set's first element to say how it is written. False when it does not look like DICOM.
bool sniff(const uint8_t *begin, const uint8_t *end, Encoding *encoding) noexcept;

uint16_t read16(const uint8_t *bytes, bool big_endian) noexcept;
uint32_t read32(const uint8_t *bytes, bool big_endian) noexcept;
uint64_t read64(const uint8_t *bytes, bool big_endian) noexcept;

constexpr uint16_t vr(char first, char second) {
    return static_cast<uint16_t>((static_cast<uint8_t>(first) << 8) | static_cast<uint8_t>(second));
}

constexpr uint32_t undefined = 0xFFFFFFFF;
constexpr uint32_t item_tag = 0xFFFEE000;
constexpr uint32_t item_end_tag = 0xFFFEE00D;
constexpr uint32_t sequence_end_tag = 0xFFFEE0DD;
constexpr uint32_t pixel_data_tag = 0x7FE00010;
constexpr uint32_t float_pixel_data_tag = 0x7FE00008;
constexpr uint32_t double_pixel_data_tag = 0x7FE00009;

}  // namespace gantry
