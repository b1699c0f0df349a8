// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "failure.hpp"

#define GANTRY_INLINE __attribute__((always_inline)) inline

namespace gantry {

/// Bits to be read, highest first, followed by zeros.
struct EntropyView {
    const uint8_t *bytes;
    /// Bits before the zeros.
    size_t count;

    static uint64_t load(const uint8_t *bytes) noexcept {
        uint64_t word;
        std::memcpy(&word, bytes, 8);
        return __builtin_bswap64(word);
    }

    /// At least 57 bits from `position`.
    uint64_t at(size_t position) const noexcept { return load(bytes + position / 8) << (position % 8); }
};

/// The entropy-coded bits of one scan without the stuffing that JPEG and JPEG-LS put behind a byte 0xFF, up to the next
/// marker or the end of the stream, followed by zeros.
///
/// Taken out beforehand, so that the loops which read the bits need not look at each byte.
class EntropyBits {
public:
    /// Zero bytes behind the last: a code begins inside the bits, and none is longer.
    static constexpr size_t margin = 16;

    /// How a byte behind 0xFF is written: JPEG puts a whole byte 0 in (T.81 F.1.2.3), JPEG-LS one bit 0 (T.87 A.1).
    enum class Stuffing { byte, bit };

    EntropyBits(const uint8_t *begin, const uint8_t *end, Stuffing stuffing) {
        // Eight bytes are stored at a time.
        bytes_.resize(static_cast<size_t>(end - begin) + margin + 8);
        count_ = stuffing == Stuffing::byte ? take_bytes(begin, end) : take_bits(begin, end);
    }

    EntropyView view() const noexcept { return {bytes_.data(), count_}; }

private:
    static const uint8_t *find_ff(const uint8_t *from, const uint8_t *end) noexcept {
        const void *const found = std::memchr(from, 0xFF, static_cast<size_t>(end - from));
        return found == nullptr ? end : static_cast<const uint8_t *>(found);
    }

    size_t take_bytes(const uint8_t *at, const uint8_t *end) noexcept {
        uint8_t *out = bytes_.data();
        while (at < end) {
            const uint8_t *const ff = find_ff(at, end);
            std::memcpy(out, at, static_cast<size_t>(ff - at));
            out += ff - at;
            if (end - ff < 2 || ff[1] != 0) break;
            *out++ = 0xFF;
            at = ff + 2;
        }
        std::memset(out, 0, margin);
        return static_cast<size_t>(out - bytes_.data()) * 8;
    }

    size_t take_bits(const uint8_t *at, const uint8_t *end) noexcept {
        uint8_t *out = bytes_.data();
        // The highest `filled` bits of `pending` wait for a whole byte.
        uint32_t filled = 0;
        uint8_t pending = 0;
        while (at < end) {
            const uint8_t *const ff = find_ff(at, end);
            const bool is_marker = ff == end || (end - ff >= 2 && (ff[1] & 0x80) != 0);
            const uint8_t *const stop = is_marker ? ff : ff + 1;
            for (; stop - at >= 8; at += 8, out += 8) {
                const uint64_t word = EntropyView::load(at);
                const uint64_t shifted = __builtin_bswap64(uint64_t{pending} << 56 | word >> filled);
                std::memcpy(out, &shifted, 8);
                pending = static_cast<uint8_t>(word << (8 - filled));
            }
            for (; at < stop; ++at) {
                *out++ = static_cast<uint8_t>(pending | *at >> filled);
                pending = static_cast<uint8_t>(*at << (8 - filled));
            }
            if (is_marker || at == end) break;
            const uint32_t joined = uint32_t{pending} << 8 | uint32_t{*at++} << (9 - filled);
            filled += 7;
            pending = static_cast<uint8_t>(joined >> 8);
            if (filled < 8) continue;
            *out++ = pending;
            pending = static_cast<uint8_t>(joined);
            filled -= 8;
        }
        *out = pending;
        std::memset(out + 1, 0, margin);
        return static_cast<size_t>(out - bytes_.data()) * 8 + filled;
    }

    std::vector<uint8_t> bytes_;
    size_t count_ = 0;
};

}  // namespace gantry
