// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>
#include <cstdlib>
#include <limits>

#include "instance.hpp"

namespace gantry {

std::string raw_text(const Element &element) {
    const char *begin = reinterpret_cast<const char *>(element.value);
    // No value of text that is read here is longer; a lying one is not carried along.
    size_t count = element.undefined_length ? 0 : element.length < 65536 ? element.length : 65536;
    while (count > 0 && (begin[count - 1] == ' ' || begin[count - 1] == '\0')) --count;
    while (count > 0 && *begin == ' ') ++begin, --count;
    return std::string(begin, count);
}

namespace {

/// Elements that are read as numbers here and are binary: VRs that an implicit data set does not carry.
uint16_t binary_vr(uint32_t tag) noexcept {
    switch (tag) {
        case 0x00189073: return vr('F', 'D');  // AcquisitionDuration
        case 0x00280120: case 0x00280121: return 0;  // as PixelRepresentation says
        case 0x00280122: case 0x00280124: return vr('F', 'L');  // FloatPixelPadding…
        case 0x00280123: case 0x00280125: return vr('F', 'D');  // DoubleFloatPixelPadding…
        default: break;
    }
    if (tag >> 16 == 0x0028) {
        switch (tag & 0xFFFF) {
            case 0x0002: case 0x0006: case 0x0010: case 0x0011: case 0x0100: case 0x0101: case 0x0102:
            case 0x0103: case 0x1101: case 0x1102: case 0x1103: case 0x3002:
                return vr('U', 'S');
            default: return vr('D', 'S');
        }
    }
    return vr('D', 'S');
}

bool decimal(const Element &element, uint32_t index, double *value) noexcept {
    const char *at = reinterpret_cast<const char *>(element.value);
    const char *const end = at + element.length;
    for (; index > 0; --index) {
        while (at < end && *at != '\\') ++at;
        if (at == end) return false;
        ++at;
    }
    char text[65];
    size_t count = 0;
    while (at < end && *at != '\\' && *at != '\0' && count < 64) text[count++] = *at++;
    text[count] = 0;
    char *parsed = nullptr;
    const double number = std::strtod(text, &parsed);
    while (*parsed == ' ') ++parsed;
    if (parsed == text || *parsed != 0 || !std::isfinite(number)) return false;
    *value = number;
    return true;
}

bool is_numeric(uint16_t type) noexcept {
    switch (type) {
        case vr('U', 'S'): case vr('S', 'S'): case vr('U', 'L'): case vr('S', 'L'): case vr('F', 'L'):
        case vr('F', 'D'): case vr('U', 'V'): case vr('S', 'V'): case vr('D', 'S'): case vr('I', 'S'):
            return true;
        default: return false;
    }
}

template <typename Value>
Value bits(uint64_t raw) noexcept {
    Value value;
    std::memcpy(&value, &raw, sizeof value);
    return value;
}

}  // namespace

bool number(const Element &element, uint32_t index, double *value) noexcept {
    // An element without a VR, or with one that is none of a number, is what its tag says.
    const uint16_t type = is_numeric(element.vr) ? element.vr : binary_vr(element.tag);
    const bool big = element.encoding.big_endian;
    size_t width = 0;
    switch (type) {
        case vr('U', 'S'): case vr('S', 'S'): case 0: width = 2; break;
        case vr('U', 'L'): case vr('S', 'L'): case vr('F', 'L'): width = 4; break;
        case vr('F', 'D'): case vr('U', 'V'): case vr('S', 'V'): width = 8; break;
        case vr('D', 'S'): case vr('I', 'S'): return decimal(element, index, value);
        default: return false;
    }
    if (element.undefined_length || (size_t{index} + 1) * width > element.length) return false;
    const uint8_t *const at = element.value + size_t{index} * width;
    switch (type) {
        case vr('S', 'S'): *value = static_cast<int16_t>(read16(at, big)); break;
        case vr('U', 'L'): *value = read32(at, big); break;
        case vr('S', 'L'): *value = static_cast<int32_t>(read32(at, big)); break;
        case vr('F', 'L'): *value = static_cast<double>(bits<float>(read32(at, big))); break;
        case vr('F', 'D'): *value = bits<double>(read64(at, big)); break;
        case vr('U', 'V'): *value = static_cast<double>(read64(at, big)); break;
        case vr('S', 'V'): *value = static_cast<double>(static_cast<int64_t>(read64(at, big))); break;
        default: *value = read16(at, big); break;
    }
    return std::isfinite(*value);
}

bool natural(const Element *element, uint32_t *value) noexcept {
    double read = 0;
    if (element == nullptr || !number(*element, 0, &read)) return false;
    if (read < 0 || read > std::numeric_limits<int32_t>::max() || read != std::floor(read)) return false;
    *value = static_cast<uint32_t>(read);
    return true;
}

}  // namespace gantry
