// SPDX-License-Identifier: GPL-3.0-or-later
#include "lookup_table.hpp"

#include <cmath>

#include "instance.hpp"

namespace gantry {

namespace {

/// A table of as many entries as its descriptor says, all of them 0.
LookupTable described(const Element *descriptor, bool is_signed, const char *name) {
    double count = 0, first = 0, bits = 0;
    if (descriptor == nullptr || !number(*descriptor, 0, &count) || !number(*descriptor, 1, &first) ||
        !number(*descriptor, 2, &bits))
        throw Failure(GI_DECODE_FAILED, "the %s lookup table has no descriptor", name);
    // Written as signed or as unsigned; 0 stands for 65536.
    if (count <= 0) count += 65536;
    if (is_signed && first > 32767) first -= 65536;
    if (!is_signed && first < 0) first += 65536;
    LookupTable table;
    table.first = static_cast<int64_t>(std::clamp(first, -65536.0, 65536.0));
    table.bits = static_cast<uint32_t>(std::clamp(bits, 1.0, 16.0));
    table.entries.resize(static_cast<size_t>(std::clamp(count, 1.0, 65536.0)));
    return table;
}

/// The words or bytes of a segmented palette, one after the other.
class Segments {
public:
    Segments(const Element &element, size_t width) : element_(element), width_(width) {}

    size_t position() const noexcept { return position_; }
    void move(size_t position) noexcept { position_ = position; }
    bool is_at_end() const noexcept { return position_ + width_ > element_.length; }

    uint16_t next() {
        if (is_at_end()) throw Failure(GI_DECODE_FAILED, "the segmented palette ends inside a segment");
        const uint8_t *const at = element_.value + position_;
        position_ += width_;
        return width_ == 1 ? *at : read16(at, element_.encoding.big_endian);
    }

private:
    const Element &element_;
    const size_t width_;
    size_t position_ = 0;
};

/// Fills a table from segments; those that it is filled from need not be many, as some repeat others.
class Expansion {
public:
    Expansion(LookupTable &table, size_t width) : entries_(table.entries), width_(width) {}

    void take(Segments &segments, bool may_repeat) {
        // Each but an empty one has an entry of its own.
        if (++taken_ > 2 * entries_.size()) throw Failure(GI_DECODE_FAILED, "the segmented palette has empty segments");
        const uint16_t kind = segments.next(), count = segments.next();
        switch (kind) {
            case 0:
                for (uint32_t i = 0; i < count; ++i) put(segments.next());
                break;
            case 1: {
                if (filled_ == 0) throw Failure(GI_DECODE_FAILED, "the segmented palette begins with a line");
                const double from = entries_[filled_ - 1], to = segments.next();
                for (uint32_t i = 1; i <= count; ++i)
                    put(static_cast<uint16_t>(std::nearbyint(from + (to - from) * i / count)));
                break;
            }
            case 2: repeat(segments, count, may_repeat); break;
            default: throw Failure(GI_DECODE_FAILED, "the segmented palette has a segment of kind %u", kind);
        }
    }

    bool is_full() const noexcept { return filled_ == entries_.size(); }

    void require_full() const {
        if (!is_full())
            throw Failure(
                GI_DECODE_FAILED, "the segmented palette has %zu entries, its descriptor says %zu", filled_,
                entries_.size());
    }

private:
    /// `count` segments from an offset in bytes, lower half first.
    void repeat(Segments &segments, uint32_t count, bool may_repeat) {
        if (!may_repeat) throw Failure(GI_DECODE_FAILED, "the segmented palette repeats what repeats");
        size_t offset = 0;
        for (uint32_t part = 0; part < 4 / width_; ++part) offset |= size_t{segments.next()} << (part * width_ * 8);
        const size_t back = segments.position();
        segments.move(offset);
        for (uint32_t i = 0; i < count && !is_full(); ++i) take(segments, false);
        segments.move(back);
    }

    void put(uint16_t entry) {
        if (is_full()) throw Failure(GI_DECODE_FAILED, "the segmented palette has more entries than its descriptor says");
        entries_[filled_++] = entry;
    }

    std::vector<uint16_t> &entries_;
    const size_t width_;
    size_t filled_ = 0;
    size_t taken_ = 0;
};

}  // namespace

LookupTable read_table(const Element *descriptor, const Element *data, bool is_signed, const char *name) {
    LookupTable table = described(descriptor, is_signed, name);
    if (data == nullptr || data->undefined_length)
        throw Failure(GI_DECODE_FAILED, "the %s lookup table has no data", name);
    const size_t entries = table.entries.size();
    // Tables of eight bits come as bytes or as words.
    const bool is_packed = data->length < entries * 2;
    if (data->length < entries || (is_packed && table.bits > 8))
        throw Failure(
            GI_DECODE_FAILED, "the %s lookup table has %zu bytes for %zu entries of %u bits", name, data->length, entries,
            table.bits);
    for (size_t i = 0; i < entries; ++i)
        table.entries[i] = is_packed ? data->value[i] : read16(data->value + i * 2, data->encoding.big_endian);
    return table;
}

LookupTable read_segmented_table(const Element *descriptor, const Element &segments, bool is_signed) {
    LookupTable table = described(descriptor, is_signed, "palette colour");
    if (segments.undefined_length) throw Failure(GI_DECODE_FAILED, "the segmented palette has no data");
    const size_t width = table.bits > 8 ? 2 : 1;
    Segments all(segments, width);
    Expansion expansion(table, width);
    while (!expansion.is_full() && !all.is_at_end()) expansion.take(all, true);
    expansion.require_full();
    return table;
}

}  // namespace gantry
