// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <memory>

#include "codec_jpeg.hpp"
#include "entropy_bits.hpp"

// Lossless JPEG-LS (ITU-T T.87 annex A): each sample is a Golomb-coded correction of what its neighbours and the 365
// contexts learned so far predict, flat stretches are run lengths. DCMTK decodes it too, at a third of the speed; it
// still does for near-lossless streams, restart intervals and mapping tables.

namespace gantry {

namespace {

/// T.87 C.2.4.1.1
struct Parameters {
    int32_t maximum, threshold1, threshold2, threshold3, reset;

    static Parameters standard(uint32_t precision) noexcept {
        Parameters p;
        p.maximum = (int32_t{1} << precision) - 1;
        const auto bounded = [&](int32_t value, int32_t least) {
            return value > p.maximum || value < least ? least : value;
        };
        if (p.maximum >= 128) {
            const int32_t factor = (std::min(p.maximum, 4095) + 128) / 256;
            p.threshold1 = bounded(factor + 2, 1);
            p.threshold2 = bounded(factor * 4 + 3, p.threshold1);
            p.threshold3 = bounded(factor * 17 + 4, p.threshold2);
        } else {
            const int32_t factor = 256 / (p.maximum + 1);
            p.threshold1 = bounded(std::max(2, 3 / factor), 1);
            p.threshold2 = bounded(std::max(3, 7 / factor), p.threshold1);
            p.threshold3 = bounded(std::max(4, 21 / factor), p.threshold2);
        }
        p.reset = 64;
        return p;
    }

    /// Takes what an LSE segment sets; zeros stand for the standard's values. False when the values are impossible.
    bool take(const uint8_t *body, uint32_t precision) noexcept {
        const auto word = [&](int index) { return static_cast<int32_t>(read16(body + 1 + index * 2, true)); };
        if (word(0) != 0 && word(0) != maximum) return false;
        const Parameters plain = standard(precision);
        threshold1 = word(1) != 0 ? word(1) : plain.threshold1;
        threshold2 = word(2) != 0 ? word(2) : plain.threshold2;
        threshold3 = word(3) != 0 ? word(3) : plain.threshold3;
        reset = word(4) != 0 ? word(4) : plain.reset;
        return threshold1 >= 1 && threshold2 >= threshold1 && threshold3 >= threshold2 && threshold3 <= maximum &&
               reset >= 3 && reset <= 255;
    }
};

/// The lengths of runs (T.87 A.2.1, variable J).
constexpr uint8_t run_bits[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3,  3,  3,  3,
                                  4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// The smallest k with count × 2^k ≥ sum; both above 0.
GANTRY_INLINE int32_t golomb_bits(int32_t count, int32_t sum) noexcept {
    const int32_t bits = std::max(0, __builtin_clz(static_cast<uint32_t>(count)) -
                                         __builtin_clz(static_cast<uint32_t>(sum)));
    return bits + ((count << bits) < sum);
}

/// What is known of samples with similar surroundings (T.87 A.2.1: A, B, C, N), and what follows from it for the next
/// one, so that it is ready when that comes.
struct Context {
    int32_t sum, bias;
    int16_t correction, count;
    /// Golomb parameter.
    int16_t bits;
    /// −1 where the mapping of errors is turned round (A.5.2), else 0.
    int16_t turned;

    GANTRY_INLINE void update(int32_t error, int32_t reset) noexcept {
        int32_t n = count, b = bias + error;
        sum += error < 0 ? -error : error;
        if (n == reset) {
            sum >>= 1;
            b >>= 1;
            n >>= 1;
        }
        ++n;
        // A.6.2, without branches, which nobody could foretell.
        const int32_t low = (b + n - 1) >> 31, high = -b >> 31;
        b = std::min(std::max(b + (n & low) - (n & high), 1 - n), 0);
        correction = static_cast<int16_t>(std::min(std::max(correction + low - high, -128), 127));
        count = static_cast<int16_t>(n);
        bias = b;
        const int32_t k = golomb_bits(n, sum);
        bits = static_cast<int16_t>(k);
        turned = k == 0 && 2 * b <= -n ? -1 : 0;
    }
};

/// The contexts of samples that end a run (A.7.2).
struct RunContext {
    int32_t sum, count = 1, negatives = 0;
};

template <typename Cell>
class Scan {
public:
    Scan(const EntropyView &bits, const Parameters &parameters, uint32_t precision, uint32_t rows, uint32_t columns)
        : bits_(bits), rows_(rows), columns_(columns), maximum_(parameters.maximum), reset_(parameters.reset),
          precision_(static_cast<int32_t>(precision)), limit_(2 * (precision_ + std::max(8, precision_))),
          lines_{std::vector<int32_t>(columns + 2), std::vector<int32_t>(columns + 2)},
          classes_(size_t{2} * static_cast<size_t>(parameters.maximum) + 1) {
        const int32_t sum = std::max(2, (maximum_ + 1 + 32) / 64);
        const auto k = static_cast<int16_t>(golomb_bits(1, sum));
        std::fill(std::begin(contexts_), std::end(contexts_), Context{sum, 0, 0, 1, k, 0});
        runs_[0].sum = runs_[1].sum = sum;
        const int32_t bounds[] = {
            1, parameters.threshold1, parameters.threshold2, parameters.threshold3, maximum_ + 1};
        int8_t *const classes = classes_.data() + maximum_;
        for (int8_t value = 1; value <= 4; ++value) {
            std::fill(classes + bounds[value - 1], classes + bounds[value], value);
            std::fill(classes - bounds[value] + 1, classes - bounds[value - 1] + 1, static_cast<int8_t>(-value));
        }
    }

    GANTRY_INLINE void decode(Cell *out) {
        for (uint32_t y = 0; y < rows_; ++y, out += columns_) {
            int32_t *const above = lines_[(y + 1) % 2].data() + 1;
            int32_t *const row = lines_[y % 2].data() + 1;
            // A.2.1: beyond the right edge the last sample, left of the first the one above it.
            above[columns_] = above[columns_ - 1];
            row[-1] = above[0];
            decode_row(above, row);
            for (uint32_t x = 0; x < columns_; ++x) out[x] = static_cast<Cell>(row[x]);
            if (position_ > bits_.count)
                throw Failure(GI_TRUNCATED, "the JPEG-LS frame ends in row %u of %u", y, rows_);
        }
    }

private:
    [[noreturn]] static void fail() {
        throw Failure(GI_DECODE_FAILED, "the JPEG-LS frame is damaged or ends too early");
    }

    GANTRY_INLINE void decode_row(const int32_t *above, int32_t *row) {
        // Locals, so that the loop keeps them in registers.
        const int8_t *const classes = classes_.data() + maximum_;
        Context *const contexts = contexts_;
        const EntropyView bits = bits_;
        const int32_t maximum = maximum_, reset = reset_, most = limit_ - precision_ - 1;
        const uint32_t columns = columns_, largest = 4 * static_cast<uint32_t>(maximum) + 4;
        size_t position = position_;
        int32_t left = row[-1], corner = above[-1], over = above[0];
        for (uint32_t x = 0; x < columns;) {
            const int32_t right = above[x + 1];
            const int32_t known = 81 * classes[right - over] + 9 * classes[over - corner];
            const int32_t index = known + classes[corner - left];
            if (index == 0) {
                position_ = position;
                x = decode_run(above, row, x);
                position = position_;
                if (x == columns) break;
                left = row[x - 1];
                corner = above[x - 1];
                over = above[x];
                continue;
            }
            const int32_t sign = index >> 31;
            Context &context = contexts[(index ^ sign) - sign];
            // A.4.1
            const int32_t low = std::min(left, over), high = std::max(left, over);
            int32_t prediction = std::min(std::max(left + over - corner, low), high);
            prediction += (context.correction ^ sign) - sign;
            prediction = std::min(std::max(prediction, 0), maximum);

            const int32_t k = context.bits;
            const uint64_t word = bits.at(position);
            const int32_t zeros = leading_zeros(word);
            uint32_t mapped;
            if (__builtin_expect(zeros + k < 56 && zeros < most, 1)) {
                position += static_cast<size_t>(zeros + 1 + k);
                mapped = short_code(word, zeros, k);
                if (__builtin_expect(mapped > largest, 0)) fail();
            } else {
                position_ = position;
                mapped = long_golomb(k, most);
                position = position_;
            }
            const int32_t error =
                static_cast<int32_t>(mapped >> 1) ^ -static_cast<int32_t>(mapped & 1) ^ context.turned;
            left = (prediction + ((error ^ sign) - sign)) & maximum;
            row[x] = left;
            context.update(error, reset);
            corner = over;
            over = right;
            ++x;
        }
        position_ = position;
    }

    /// Of a word that may be 0 as well: the margin of zeros gives that for a moment before the end is noticed.
    GANTRY_INLINE static int32_t leading_zeros(uint64_t word) noexcept { return __builtin_clzll(word | 1); }

    /// A Golomb code of zeros, a one and `k` bits at the beginning of `word`.
    GANTRY_INLINE static uint32_t short_code(uint64_t word, int32_t zeros, int32_t k) noexcept {
        // Shifted twice, since a shift by 64 is none.
        return static_cast<uint32_t>(zeros) << k | static_cast<uint32_t>(word << (zeros + 1) >> 1 >> (63 - k));
    }

    /// A Golomb code of any length (A.5.3).
    __attribute__((noinline)) uint32_t long_golomb(int32_t k, int32_t most) {
        int32_t zeros = 0;
        while (!bit()) {
            if (++zeros > most || position_ > bits_.count) fail();
        }
        const uint32_t value = zeros < most ? static_cast<uint32_t>(zeros) << k | number(k) : number(precision_) + 1;
        if (value > 4 * static_cast<uint32_t>(maximum_) + 4) fail();
        return value;
    }

    bool bit() noexcept { return bits_.at(position_++) >> 63 != 0; }

    uint32_t number(int32_t count) noexcept {
        const uint64_t word = bits_.at(position_);
        position_ += static_cast<size_t>(count);
        return static_cast<uint32_t>(word >> 1 >> (63 - count));
    }

    /// A run from `x` (A.7); returns where regular samples go on.
    uint32_t decode_run(const int32_t *above, int32_t *row, uint32_t x) {
        const int32_t value = row[static_cast<ptrdiff_t>(x) - 1];
        while (bit()) {
            const uint32_t whole = uint32_t{1} << run_bits[run_index_];
            const uint32_t count = std::min(whole, columns_ - x);
            std::fill_n(row + x, count, value);
            x += count;
            if (count == whole && run_index_ < 31) ++run_index_;
            if (x == columns_) return x;
            if (position_ > bits_.count) fail();
        }
        const uint32_t count = number(run_bits[run_index_]);
        if (count >= columns_ - x) fail();
        std::fill_n(row + x, count, value);
        x += count;
        row[x] = end_of_run(value, above[x]);
        if (run_index_ > 0) --run_index_;
        if (position_ > bits_.count) fail();
        return x + 1;
    }

    int32_t end_of_run(int32_t left, int32_t over) {
        const bool is_same = left == over;
        RunContext &context = runs_[is_same ? 1 : 0];
        const int32_t k = golomb_bits(context.count, context.sum + (is_same ? context.count >> 1 : 0));
        const auto mapped = static_cast<int32_t>(long_golomb(k, limit_ - run_bits[run_index_] - precision_ - 2));
        const int32_t twice = mapped + (is_same ? 1 : 0);
        const int32_t odd = twice & 1, size = (twice + odd) / 2;
        const bool is_negative = (k != 0 || 2 * context.negatives >= context.count) == (odd != 0);
        const int32_t error = is_negative ? -size : size;
        if (error < 0) ++context.negatives;
        context.sum += (mapped + (is_same ? 0 : 1)) >> 1;
        if (context.count == reset_) {
            context.sum >>= 1;
            context.count >>= 1;
            context.negatives >>= 1;
        }
        ++context.count;
        return ((is_same ? left : over) + (!is_same && left > over ? -error : error)) & maximum_;
    }

    const EntropyView bits_;
    size_t position_ = 0;
    const uint32_t rows_, columns_;
    const int32_t maximum_, reset_, precision_, limit_;
    uint32_t run_index_ = 0;
    Context contexts_[365];
    RunContext runs_[2];
    /// The row being decoded and the one above it, each with a sample at either side.
    std::vector<int32_t> lines_[2];
    /// The class of each gradient from −maximum to maximum (A.3.3).
    std::vector<int8_t> classes_;
};

}  // namespace

template <typename Cell>
bool decode_jpeg_ls(const Piece &stream, const JpegHeader &header, Cell *out) {
    Parameters parameters = Parameters::standard(header.precision);
    JpegMarkers markers(stream);
    while (markers.next() && markers.marker() != JpegMarkers::scan) {
        if (markers.marker() == JpegMarkers::restart) return false;
        if (markers.marker() != JpegMarkers::ls_parameters) continue;
        if (markers.count() != 11 || markers.body()[0] != 1 || !parameters.take(markers.body(), header.precision))
            return false;
    }
    // One component: its number and mapping table, NEAR, interleave mode, point transform (C.2.3).
    const uint8_t *const scan = markers.body();
    if (markers.marker() != JpegMarkers::scan || markers.count() < 6 || scan[0] != 1)
        throw Failure(GI_DECODE_FAILED, "the JPEG-LS frame has no scan");
    if (scan[2] != 0 || scan[3] != 0 || scan[4] != 0 || scan[5] != 0) return false;
    const EntropyBits bits(markers.rest(), stream.bytes + stream.count, EntropyBits::Stuffing::bit);
    // A bit is a run of at most 2^15 samples, and ends with its row.
    if (header.rows > bits.view().count)
        throw Failure(
            GI_TRUNCATED, "%zu bytes of JPEG-LS cannot hold %u × %u pixels", bits.view().count / 8, header.rows,
            header.columns);
    std::make_unique<Scan<Cell>>(bits.view(), parameters, header.precision, header.rows, header.columns)->decode(out);
    return true;
}

template bool decode_jpeg_ls<uint8_t>(const Piece &, const JpegHeader &, uint8_t *);
template bool decode_jpeg_ls<uint16_t>(const Piece &, const JpegHeader &, uint16_t *);

}  // namespace gantry
