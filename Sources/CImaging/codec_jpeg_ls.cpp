// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <memory>

#include "codec_jpeg.hpp"
#include "entropy_bits.hpp"

// Lossless JPEG-LS (ITU-T T.87 annex A): each sample is a Golomb-coded correction of what its neighbours and the 365
// contexts learned so far predict, flat stretches are run lengths. DCMTK decodes it too, at a third of the speed; it
// still does for near-lossless streams, restart intervals and mapping tables.
//
// Each sample waits for the one before it. The time is the chain from that sample over its gradient, the context that
// gives and the length of the code, so whatever does not hang on it is made ready beforehand: what the row above says,
// for whole rows, and what follows from a context, when the context changes.

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

/// The smallest k with count × 2^k ≥ sum; `count` above 0.
GANTRY_INLINE int32_t golomb_bits(int32_t count, int32_t sum) noexcept {
    const int32_t bits = std::max(0, __builtin_clz(static_cast<uint32_t>(count)) -
                                         __builtin_clz(static_cast<uint32_t>(sum) | 1));
    return bits + ((count << bits) < sum);
}

/// What is known of samples with similar surroundings (T.87 A.2.1: A, B, C, N), and the Golomb parameter for the next.
struct Context {
    int32_t sum, bias;
    int16_t correction, count;
    /// The Golomb parameter, and 63 less it.
    uint8_t bits, rest;

    static Context initial(int32_t sum) noexcept {
        Context context = {sum, 0, 0, 1, 0, 0};
        context.set(golomb_bits(1, sum));
        return context;
    }

    void set(int32_t k) noexcept {
        bits = static_cast<uint8_t>(k);
        rest = static_cast<uint8_t>(63 - k);
    }

    /// Learns an error and its `size` without sign, coded with the parameter `k`.
    GANTRY_INLINE void update(int32_t error, int32_t size, int32_t k, int32_t reset) noexcept {
        int32_t n = count, b = bias + error, a = sum + size;
        if (__builtin_expect(n == reset, 0)) {
            a >>= 1;
            b >>= 1;
            n >>= 1;
        }
        ++n;
        // A.6.2, without branches, which nobody could foretell.
        const int32_t step = (b <= -n) - (b > 0), c = correction - step;
        bias = std::min(std::max(b + step * n, 1 - n), 0);
        const auto narrow = static_cast<int8_t>(c);
        correction = __builtin_expect(c == narrow, 1) ? narrow : static_cast<int16_t>(c < 0 ? -128 : 127);
        count = static_cast<int16_t>(n);
        sum = a;
        // The parameter stays where count × 2^(k−1) < sum ≤ count × 2^k. That is most often so, and a foretold branch
        // spares the next sample of the context waiting for it. A parameter of 0 is always computed anew.
        const uint32_t half = static_cast<uint32_t>(n) << ((k - 1) & 31);
        if (__builtin_expect(static_cast<uint32_t>(a) - 1 - half >= half, 0)) set(golomb_bits(n, a));
    }
};

/// What the row above says of a sample.
struct Place {
    /// The context of a sample whose left gradient is 0, in bytes from the first; 0 where all gradients above are. The
    /// highest bit tells that gradients and errors count with their sign turned (A.3.4).
    int32_t context;
    /// Where the classes of the left gradient are, for a left sample of 0, with their sign turned or not.
    int32_t classes;
};

/// The contexts of samples that end a run (A.7.2).
struct RunContext {
    int32_t sum, count = 1, negatives = 0;
};

template <typename Cell>
class Scan {
public:
    Scan(const EntropyView &bits, const Parameters &parameters, uint32_t precision, uint32_t rows, uint32_t columns)
        : bits_(bits), parameters_(parameters), rows_(rows), columns_(columns), maximum_(parameters.maximum),
          precision_(static_cast<int32_t>(precision)), limit_(2 * (precision_ + std::max(8, precision_))),
          line_(size_t{columns} + 2), gradients_(size_t{columns} + 1), places_(columns),
          classes_(size_t{4} * static_cast<size_t>(maximum_) + 2) {
        const int32_t sum = std::max(2, (maximum_ + 1 + 32) / 64);
        std::fill(std::begin(contexts_), std::end(contexts_), Context::initial(sum));
        runs_[0].sum = runs_[1].sum = sum;
        const int32_t bounds[] = {
            1, parameters.threshold1, parameters.threshold2, parameters.threshold3, maximum_ + 1};
        const auto middle = classes_.begin() + static_cast<ptrdiff_t>(classes_.size() / 2);
        const auto zero = middle + maximum_;
        for (int32_t value = 1; value <= 4; ++value) {
            const auto bytes = static_cast<int8_t>(value * context_bytes);
            std::fill(zero + bounds[value - 1], zero + bounds[value], bytes);
            std::fill(zero - bounds[value] + 1, zero - bounds[value - 1] + 1, static_cast<int8_t>(-bytes));
        }
        std::reverse_copy(middle, classes_.end(), classes_.begin());
    }

    void decode(Cell *out) {
#if defined(__x86_64__)
        if (__builtin_cpu_supports("x86-64-v3")) return decode_by_v3(out);
#endif
        decode_rows(out);
    }

private:
    static constexpr int32_t context_bytes = 16;
    static_assert(sizeof(Context) == context_bytes, "a class of a gradient is a distance between contexts");

#if defined(__x86_64__)
    /// With shifts that take their count from any register, and rows eight samples at a time.
    __attribute__((target("arch=x86-64-v3"))) void decode_by_v3(Cell *out) { decode_rows(out); }
#endif

    GANTRY_INLINE void decode_rows(Cell *out) {
        for (uint32_t y = 0; y < rows_; ++y, out += columns_) {
            prepare_row(
                line_.data(), columns_, parameters_, static_cast<int32_t>(classes_.size() / 2), gradients_.data(),
                places_.data());
            decode_row(out);
            // A.2.1: left of the first sample the one above it, beyond the right edge the last.
            line_[0] = line_[1];
            std::copy_n(out, columns_, line_.data() + 1);
            line_[columns_ + 1] = line_[columns_];
            if (position_ > bits_.count)
                throw Failure(GI_TRUNCATED, "the JPEG-LS frame ends in row %u of %u", y, rows_);
        }
    }

    static GANTRY_INLINE void prepare_row(
        const int32_t *__restrict line, uint32_t columns, const Parameters &parameters, int32_t turned,
        int32_t *__restrict gradients, Place *__restrict places) noexcept {
        const int32_t threshold1 = parameters.threshold1, threshold2 = parameters.threshold2,
                      threshold3 = parameters.threshold3;
        for (uint32_t x = 0; x <= columns; ++x) {
            const int32_t difference = line[x + 1] - line[x], size = difference < 0 ? -difference : difference;
            const int32_t value = (size > 0) + (size >= threshold1) + (size >= threshold2) + (size >= threshold3);
            gradients[x] = difference < 0 ? -value : value;
        }
        for (uint32_t x = 0; x < columns; ++x) {
            const int32_t known = 81 * gradients[x + 1] + 9 * gradients[x], sign = known >> 31;
            places[x] = {((known ^ sign) - sign) * context_bytes + (sign & INT32_MIN), (sign & turned) - line[x]};
        }
    }

    [[noreturn]] static void fail() {
        throw Failure(GI_DECODE_FAILED, "the JPEG-LS frame is damaged or ends too early");
    }

    GANTRY_INLINE void decode_row(Cell *row) {
        // Locals, so that the loop keeps them in registers; as wide as addresses, so that none has to be widened.
        const Place *place = places_.data(), *const end = place + columns_;
        const int8_t *const classes = classes_.data() + maximum_;
        char *const contexts = reinterpret_cast<char *>(contexts_);
        const EntropyView bits = bits_;
        const ptrdiff_t maximum = maximum_;
        const int32_t reset = parameters_.reset, most = limit_ - precision_ - 1;
        // No parameter is above precision + 2, as no error has more bits: such a code fits in one word.
        const auto quick = static_cast<size_t>(std::min(most, 54 - precision_));
        const size_t largest = 4 * static_cast<size_t>(maximum) + 4;
        size_t position = position_;
        // At the sample above.
        const int32_t *above = line_.data() + 1;
        ptrdiff_t left = *above;
        while (place != end) {
            const ptrdiff_t over = *above, corner = above[-1];
            const ptrdiff_t known = place->context;
            ptrdiff_t sign = known >> 63;
            char *const beside = contexts + (known & INT32_MAX);
            ptrdiff_t gradient = classes[place->classes + left];
            if (__builtin_expect(known == 0, 0)) {
                if (gradient == 0) {
                    position_ = position;
                    const ptrdiff_t count = decode_run(above, row, static_cast<Cell>(left));
                    position = position_;
                    place += count;
                    above += count;
                    row += count;
                    left = row[-1];
                    continue;
                }
                sign = gradient < 0 ? -1 : 0;
                gradient = (gradient ^ sign) - sign;
            }
            Context &context = *reinterpret_cast<Context *>(beside + gradient);
            // A.4.1; one more where the sign is turned, which makes the complement of an error its negative.
            const ptrdiff_t low = std::min(left, over), high = std::max(left, over);
            ptrdiff_t prediction = std::min(std::max(left + over - corner, low), high) - 2 * sign;
            prediction += context.correction ^ sign;
            if (__builtin_expect(static_cast<size_t>(prediction + sign) > static_cast<size_t>(maximum), 0))
                prediction = (prediction + sign < 0 ? 0 : maximum) - sign;

            const size_t k = context.bits;
            const uint64_t word = bits.at(position);
            const auto zeros = static_cast<size_t>(leading_zeros(word));
            size_t mapped;
            if (__builtin_expect(zeros < quick, 1)) {
                position += zeros + 1 + k;
                // The one before the `k` bits makes up for the one that is taken from the zeros.
                mapped = ((zeros - 1) << k) + (word << zeros >> context.rest);
                if (__builtin_expect(mapped > largest, 0)) fail();
            } else {
                position_ = position;
                mapped = long_golomb(static_cast<int32_t>(k), most);
                position = position_;
            }
            const auto half = static_cast<ptrdiff_t>(mapped >> 1);
            const ptrdiff_t flip = -static_cast<ptrdiff_t>(mapped & 1);
            ptrdiff_t error, size = half - flip;
            if (__builtin_expect(k == 0, 0)) {
                // The mapping may be turned round (A.5.2).
                const bool is_turned = 2 * context.bias <= -context.count;
                error = half ^ flip ^ -static_cast<ptrdiff_t>(is_turned);
                size = error < 0 ? -error : error;
                left = prediction + (error ^ sign);
            } else {
                error = half ^ flip;
                left = prediction + (half ^ (flip ^ sign));
            }
            left &= maximum;
            *row++ = static_cast<Cell>(left);
            ++place;
            ++above;
            context.update(static_cast<int32_t>(error), static_cast<int32_t>(size), static_cast<int32_t>(k), reset);
        }
        position_ = position;
    }

    /// Of a word that may be 0 as well: the margin of zeros gives that before the end is noticed.
    GANTRY_INLINE static int32_t leading_zeros(uint64_t word) noexcept {
        return word == 0 ? 64 : __builtin_clzll(word);
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

    /// A run of `value` below `above` (A.7), and the sample that ends it; returns how many samples that are.
    ptrdiff_t decode_run(const int32_t *above, Cell *row, Cell value) {
        const auto room = static_cast<uint32_t>(line_.data() + columns_ + 1 - above);
        uint32_t x = 0;
        while (bit()) {
            const uint32_t whole = uint32_t{1} << run_bits[run_index_];
            const uint32_t count = std::min(whole, room - x);
            std::fill_n(row + x, count, value);
            x += count;
            if (count == whole && run_index_ < 31) ++run_index_;
            if (x == room) return x;
            if (position_ > bits_.count) fail();
        }
        const uint32_t count = number(run_bits[run_index_]);
        if (count >= room - x) fail();
        std::fill_n(row + x, count, value);
        x += count;
        row[x] = static_cast<Cell>(end_of_run(value, above[x]));
        if (run_index_ > 0) --run_index_;
        if (position_ > bits_.count) fail();
        return static_cast<ptrdiff_t>(x) + 1;
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
        if (context.count == parameters_.reset) {
            context.sum >>= 1;
            context.count >>= 1;
            context.negatives >>= 1;
        }
        ++context.count;
        return ((is_same ? left : over) + (!is_same && left > over ? -error : error)) & maximum_;
    }

    const EntropyView bits_;
    size_t position_ = 0;
    const Parameters parameters_;
    const uint32_t rows_, columns_;
    const int32_t maximum_, precision_, limit_;
    uint32_t run_index_ = 0;
    alignas(context_bytes) Context contexts_[365];
    RunContext runs_[2];
    /// The row above, with a sample at either side.
    std::vector<int32_t> line_;
    /// The classes of its gradients from each sample to the next, and what follows for the samples below.
    std::vector<int32_t> gradients_;
    std::vector<Place> places_;
    /// The class of each gradient (A.3.3) in bytes between contexts: from maximum down to −maximum, then the other way.
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
