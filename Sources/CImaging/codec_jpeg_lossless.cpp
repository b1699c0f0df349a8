// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <type_traits>

#include "codec_jpeg.hpp"
#include "entropy_bits.hpp"

// Lossless JPEG, process 14 (ITU-T T.81 annex H): each sample is a Huffman-coded difference from its neighbours. DCMTK
// decodes it too, at a third of the speed; it still does for restart intervals.

namespace gantry {

namespace {

/// A Huffman table of difference categories (T.81 annex C, F.2.2.3 and H.1.2.2).
class Differences {
public:
    /// Of a code and the bits behind it that together have so many bits, the difference is looked up.
    static constexpr uint32_t quick = 12;

    bool is_defined() const noexcept { return is_defined_; }

    /// One table of a DHT segment; returns the bytes it takes, or 0 when it is damaged.
    size_t read(const uint8_t *body, size_t count) {
        if (count < 17) return 0;
        size_t values = 0;
        for (uint32_t length = 1; length <= 16; ++length) values += body[length];
        if (values == 0 || values > 17 || count < 17 + values) return 0;
        std::fill(std::begin(entries_), std::end(entries_), Entry{});
        uint32_t code = 0;
        const uint8_t *value = body + 17;
        for (uint32_t length = 1; length <= 16; ++length, code <<= 1) {
            first_[length] = code;
            count_[length] = body[length];
            values_[length] = static_cast<uint8_t>(value - body - 17);
            for (uint32_t i = 0; i < body[length]; ++i, ++code, ++value) {
                if (code >= uint32_t{1} << length || *value > 16) return 0;
                categories_[value - body - 17] = *value;
                enter(code, length, *value);
            }
        }
        is_defined_ = true;
        return 17 + values;
    }

    /// A difference modulo 2^16 and the bits it takes; none when `length` is 0.
    struct Entry {
        int16_t difference = 0;
        uint16_t length = 0;
    };

    GANTRY_INLINE const Entry &look_up(uint64_t bits) const noexcept { return entries_[bits >> (64 - quick)]; }

    /// Any code; `length` is 0 when the bits begin with none.
    __attribute__((noinline)) Entry find(uint64_t bits) const noexcept {
        for (uint32_t length = 1; length <= 16; ++length) {
            const auto code = static_cast<uint32_t>(bits >> (64 - length));
            if (code - first_[length] >= count_[length] || code < first_[length]) continue;
            return whole(bits << length, length, categories_[values_[length] + code - first_[length]]);
        }
        return {};
    }

private:
    /// The difference of a category whose further bits are the highest of `bits`.
    static Entry whole(uint64_t bits, uint32_t length, uint32_t category) noexcept {
        const auto code_length = static_cast<uint16_t>(length);
        if (category == 0) return {0, code_length};
        // The last category stands for 32768 alone.
        if (category == 16) return {INT16_MIN, code_length};
        const auto value = static_cast<int32_t>(bits >> (64 - category));
        const int32_t half = int32_t{1} << (category - 1);
        return {
            static_cast<int16_t>(value < half ? value - 2 * half + 1 : value),
            static_cast<uint16_t>(length + category)};
    }

    void enter(uint32_t code, uint32_t length, uint32_t category) noexcept {
        const uint32_t extra = category == 16 ? 0 : category;
        if (length + extra > quick) return;
        const uint32_t rest = quick - length;
        for (uint32_t tail = 0; tail < uint32_t{1} << rest; ++tail)
            entries_[code << rest | tail] = whole(uint64_t{tail} << (64 - rest - (rest == 0)), length, category);
    }

    Entry entries_[1 << quick];
    uint32_t first_[17] = {}, count_[17] = {};
    /// Where the categories of a code length begin.
    uint8_t values_[17] = {};
    uint8_t categories_[17] = {};
    bool is_defined_ = false;
};

[[noreturn]] void fail() { throw Failure(GI_DECODE_FAILED, "the JPEG frame holds bits that are no Huffman code"); }

/// Reads one difference after the other.
class DifferenceReader {
public:
    DifferenceReader(const EntropyView &bits, const Differences &table)
        : table_(&table), at_(bits.bytes), end_(bits.bytes + bits.count / 8) {}

    /// Afterwards four differences that are looked up can be taken.
    GANTRY_INLINE void refill() noexcept {
        // Past the end the zeros there are read again and again until somebody asks.
        if (at_ > end_) {
            excess_ += at_ - end_;
            at_ = end_;
        }
        bits_ |= EntropyView::load(at_) >> count_;
        at_ += (63 - count_) / 8;
        count_ |= 56;
    }

    GANTRY_INLINE int32_t take() {
        Differences::Entry entry = table_->look_up(bits_);
        if (__builtin_expect(entry.length == 0, 0)) {
            refill();
            entry = table_->find(bits_);
            if (entry.length == 0) fail();
            skip(entry.length);
            refill();
            return entry.difference;
        }
        skip(entry.length);
        return entry.difference;
    }

    /// Whether more bits were taken than there are.
    bool is_past_end() const noexcept { return (at_ - end_ + excess_) * 8 > static_cast<ptrdiff_t>(count_); }

private:
    GANTRY_INLINE void skip(uint32_t length) noexcept {
        bits_ <<= length;
        count_ -= length;
    }

    const Differences *table_;
    const uint8_t *at_;
    const uint8_t *end_;
    uint64_t bits_ = 0;
    /// Valid bits of `bits_`, from the highest.
    uint32_t count_ = 0;
    ptrdiff_t excess_ = 0;
};

/// T.81 table H.1.
template <int predictor>
GANTRY_INLINE int32_t predict(int32_t left, int32_t above, int32_t corner) noexcept {
    switch (predictor) {
        case 1: return left;
        case 2: return above;
        case 3: return corner;
        case 4: return left + above - corner;
        case 5: return left + ((above - corner) >> 1);
        case 6: return above + ((left - corner) >> 1);
        default: return (left + above) >> 1;
    }
}

/// Samples are kept without the point transform, modulo 2^16, as the predictions are made of them.
template <int predictor>
GANTRY_INLINE void decode_row(
    DifferenceReader &outer, const uint16_t *__restrict above, uint16_t *__restrict row, uint32_t columns) {
    // A local one, so that the loop keeps it in registers.
    DifferenceReader reader = outer;
    reader.refill();
    uint16_t left = row[0] = static_cast<uint16_t>(above[0] + reader.take());
    uint32_t x = 1;
    while (x < columns) {
        reader.refill();
        const uint32_t end = std::min(x + 4, columns);
        for (; x < end; ++x) {
            left = static_cast<uint16_t>(predict<predictor>(left, above[x], above[x - 1]) + reader.take());
            row[x] = left;
        }
    }
    outer = reader;
}

void decode_row(
    int predictor, DifferenceReader &reader, const uint16_t *above, uint16_t *row, uint32_t columns) {
    switch (predictor) {
        case 1: return decode_row<1>(reader, above, row, columns);
        case 2: return decode_row<2>(reader, above, row, columns);
        case 3: return decode_row<3>(reader, above, row, columns);
        case 4: return decode_row<4>(reader, above, row, columns);
        case 5: return decode_row<5>(reader, above, row, columns);
        case 6: return decode_row<6>(reader, above, row, columns);
        default: return decode_row<7>(reader, above, row, columns);
    }
}

}  // namespace

template <typename Cell>
bool decode_jpeg_lossless(const Piece &stream, const JpegHeader &header, Cell *out) {
    Differences tables[4];
    JpegMarkers markers(stream);
    while (markers.next()) {
        const uint8_t *body = markers.body();
        size_t left = markers.count();
        if (markers.marker() == JpegMarkers::restart) {
            if (left < 2 || read16(body, true) != 0) return false;
        } else if (markers.marker() == JpegMarkers::tables) {
            while (left > 0) {
                // Class 0, one of four.
                if (body[0] > 3) return false;
                const size_t taken = tables[body[0]].read(body, left);
                if (taken == 0) throw Failure(GI_DECODE_FAILED, "a Huffman table of the JPEG frame is damaged");
                body += taken;
                left -= taken;
            }
        } else if (markers.marker() == JpegMarkers::scan) {
            break;
        }
    }
    // One component: its number, tables, predictor, an unused byte, point transform (T.81 B.2.3).
    const uint8_t *const scan = markers.body();
    if (markers.marker() != JpegMarkers::scan || markers.count() < 6 || scan[0] != 1)
        throw Failure(GI_DECODE_FAILED, "the JPEG frame has no scan");
    const uint32_t table = scan[2] >> 4, predictor = scan[3], transform = scan[5] & 15;
    if (predictor < 1 || predictor > 7 || table > 3 || !tables[table].is_defined() || transform >= header.precision)
        throw Failure(GI_DECODE_FAILED, "the JPEG frame's scan header is damaged");
    const EntropyBits bits(markers.rest(), stream.bytes + stream.count, EntropyBits::Stuffing::byte);
    // The shortest code has one bit.
    if (uint64_t{header.rows} * header.columns > bits.view().count)
        throw Failure(
            GI_TRUNCATED, "%zu bytes of lossless JPEG cannot hold %u × %u pixels", bits.view().count / 8, header.rows,
            header.columns);

    DifferenceReader reader(bits.view(), tables[table]);
    const uint32_t columns = header.columns;
    std::vector<uint16_t> lines[2] = {std::vector<uint16_t>(columns), std::vector<uint16_t>(columns)};
    for (uint32_t y = 0; y < header.rows; ++y) {
        const bool is_in_place = std::is_same_v<Cell, uint16_t> && transform == 0;
        Cell *const cells = out + size_t{y} * columns;
        uint16_t *row = lines[y % 2].data();
        const uint16_t *above = lines[(y + 1) % 2].data();
        if (is_in_place) {
            row = reinterpret_cast<uint16_t *>(cells);
            if (y > 0) above = row - columns;
        }
        if (y == 0) {
            // The first sample is predicted by the middle of the range, the others of the row by the one before.
            std::vector<uint16_t> middle(columns);
            middle[0] = static_cast<uint16_t>(1u << (header.precision - transform - 1));
            decode_row(1, reader, middle.data(), row, columns);
        } else {
            decode_row(static_cast<int>(predictor), reader, above, row, columns);
        }
        if (reader.is_past_end())
            throw Failure(GI_TRUNCATED, "the lossless JPEG frame ends in row %u of %u", y, header.rows);
        if (!is_in_place)
            for (uint32_t x = 0; x < columns; ++x) cells[x] = static_cast<Cell>(row[x] << transform);
    }
    return true;
}

template bool decode_jpeg_lossless<uint8_t>(const Piece &, const JpegHeader &, uint8_t *);
template bool decode_jpeg_lossless<uint16_t>(const Piece &, const JpegHeader &, uint16_t *);

}  // namespace gantry
