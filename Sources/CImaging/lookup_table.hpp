// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "data_set.hpp"

namespace gantry {

/// A lookup table (PS3.3 C.11.1.1): values below the first and above the last get theirs.
struct LookupTable {
    std::vector<uint16_t> entries;
    int64_t first = 0;
    /// Of an entry, 1 to 16.
    uint32_t bits = 16;

    uint16_t operator()(int64_t value) const noexcept {
        const int64_t last = static_cast<int64_t>(entries.size()) - 1;
        return entries[static_cast<size_t>(std::clamp<int64_t>(value - first, 0, last))];
    }
};

/// Reads a table from its descriptor and data; throws Failure where one is missing or too short. `name` is for the
/// message; `is_signed` says whether what is looked up may be negative, which the descriptor's VR need not say.
LookupTable read_table(const Element *descriptor, const Element *data, bool is_signed, const char *name);

/// Reads a palette in segments (PS3.3 C.7.9.2).
LookupTable read_segmented_table(const Element *descriptor, const Element &segments, bool is_signed);

}  // namespace gantry
