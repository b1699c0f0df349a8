// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "frame.hpp"
#include "kernels.hpp"

using namespace gantry;

namespace {

/// Which source values, with which weights, make each output value along one axis.
struct Axis {
    uint32_t begin = 0, end = 0;
    std::vector<uint32_t> first, taps, offset;
    std::vector<float> weights;

    /// `position` is the source coordinate of the left edge of output 0, `step` the source values per output value,
    /// both for outputs from `begin` to `end`.
    Axis(uint32_t source, uint32_t output, double position, double step, bool flipped) {
        first.resize(output);
        taps.resize(output);
        offset.resize(output);
        begin = output;
        for (uint32_t i = 0; i < output; ++i) {
            const double low = position + i * step, high = low + step, center = (low + high) / 2;
            offset[i] = static_cast<uint32_t>(weights.size());
            if (!(center >= 0 && center < source)) continue;
            begin = std::min(begin, i);
            end = i + 1;
            if (step >= 1)
                average(i, std::max(low, 0.0), std::min(high, static_cast<double>(source)), source);
            else
                interpolate(i, center - 0.5, source);
            if (flipped) {
                std::reverse(weights.begin() + offset[i], weights.end());
                first[i] = source - first[i] - taps[i];
            }
        }
        begin = std::min(begin, end);
    }

private:
    /// The mean over [low, high), partial cells by their share.
    void average(uint32_t i, double low, double high, uint32_t source) {
        auto cell = static_cast<uint32_t>(low);
        first[i] = cell;
        const double length = high - low;
        for (; cell < source && cell < high; ++cell) {
            const double share = std::min<double>(cell + 1.0, high) - std::max<double>(cell, low);
            // What is left of rounding is no cell.
            if (share < 1e-9 * length && taps[i] > 0) break;
            weights.push_back(static_cast<float>(share / length));
            ++taps[i];
        }
    }

    void interpolate(uint32_t i, double at, uint32_t source) {
        const double clamped = std::clamp(at, 0.0, source - 1.0);
        const auto cell = static_cast<uint32_t>(clamped);
        const auto share = static_cast<float>(clamped - cell);
        first[i] = cell;
        weights.push_back(1 - share);
        taps[i] = 1;
        if (share > 0 && cell + 1 < source) {
            weights.push_back(share);
            taps[i] = 2;
        }
    }
};

/// Stored value to 0…1 before clipping: value × scale + shift; by the logistic function when `is_sigmoid`.
struct Transfer {
    float scale = 0, shift = 0;
    bool is_sigmoid = false;
    bool is_inverted = false;
    /// Whether the frame's VOI LUT takes the place of the scale, which then gives modality values.
    bool is_table = false;
};

/// Calls the body with the frame's samples in their own type.
template <typename Body>
auto with_samples(const gi_frame &frame, Body &&body) {
    switch (frame.type) {
        case gi_frame::Type::u8: return body(frame.samples<uint8_t>());
        case gi_frame::Type::u16: return body(frame.samples<uint16_t>());
        case gi_frame::Type::i16: return body(frame.samples<int16_t>());
        default: return body(frame.samples<float>());
    }
}

struct Range {
    double low, high;
};

/// The value at a share of the sorted values, interpolated between neighbours (as numpy's default).
double ranked(const std::vector<uint32_t> &histogram, uint64_t count, double share, int64_t origin) {
    const double position = share * static_cast<double>(count - 1);
    const auto rank = static_cast<uint64_t>(position);
    uint64_t seen = 0;
    for (size_t bin = 0; bin < histogram.size(); ++bin) {
        seen += histogram[bin];
        if (seen <= rank) continue;
        const double here = static_cast<double>(static_cast<int64_t>(bin) + origin);
        if (seen > rank + 1 || rank + 1 >= count) return here;
        size_t next = bin + 1;
        while (next < histogram.size() && histogram[next] == 0) ++next;
        const double there = static_cast<double>(static_cast<int64_t>(next) + origin);
        return here + (there - here) * (position - static_cast<double>(rank));
    }
    return 0;
}

Range percentiles(const gi_frame &frame, double low, double high) {
    return with_samples(frame, [&](const auto *samples) -> Range {
        using Sample = std::decay_t<decltype(*samples)>;
        if constexpr (std::is_same_v<Sample, float>) {
            std::vector<float> sorted;
            sorted.reserve(frame.count());
            std::copy_if(
                samples, samples + frame.count(), std::back_inserter(sorted), [](float x) { return !std::isnan(x); });
            if (sorted.empty()) return {0, 0};
            const auto at = [&](double share) {
                const double position = share * static_cast<double>(sorted.size() - 1);
                const auto rank = static_cast<ptrdiff_t>(position);
                std::nth_element(sorted.begin(), sorted.begin() + rank, sorted.end());
                const double here = sorted[static_cast<size_t>(rank)];
                if (static_cast<size_t>(rank) + 1 >= sorted.size()) return here;
                const double there = *std::min_element(sorted.begin() + rank + 1, sorted.end());
                return here + (there - here) * (position - static_cast<double>(rank));
            };
            return {at(low), at(high)};
        } else {
            const int64_t origin = std::numeric_limits<Sample>::min();
            std::vector<uint32_t> histogram(size_t{1} << (sizeof(Sample) * 8));
            uint64_t count = 0;
            for (size_t i = 0; i < frame.count(); ++i) {
                const bool is_padding =
                    frame.has_padding && samples[i] >= frame.padding_low && samples[i] <= frame.padding_high;
                if (is_padding) continue;
                ++histogram[static_cast<size_t>(samples[i] - origin)];
                ++count;
            }
            if (count == 0) return {0, 0};
            return {ranked(histogram, count, low, origin), ranked(histogram, count, high, origin)};
        }
    });
}

Transfer between(const gi_frame &frame, Range stored) {
    double low = stored.low * frame.slope + frame.intercept, high = stored.high * frame.slope + frame.intercept;
    if (low > high) std::swap(low, high);
    Transfer transfer;
    if (high > low) {
        transfer.scale = static_cast<float>(frame.slope / (high - low));
        transfer.shift = static_cast<float>((frame.intercept - low) / (high - low));
        transfer.is_inverted = frame.is_monochrome1;
    }
    return transfer;
}

Transfer windowed(const gi_frame &frame, double center, double width) {
    Transfer transfer;
    transfer.scale = static_cast<float>(frame.slope / width);
    transfer.shift = static_cast<float>((frame.intercept - center + width / 2) / width);
    transfer.is_inverted = frame.is_monochrome1;
    return transfer;
}

Transfer transfer_of(const gi_frame &frame, const gi_channel &channel) {
    switch (channel.kind) {
        case GI_CHANNEL_WINDOW:
            if (!(channel.width > 0)) throw Failure(GI_INVALID_ARGUMENT, "a window of width %g", channel.width);
            return windowed(frame, channel.center, channel.width);
        case GI_CHANNEL_PERCENTILES: return between(frame, percentiles(frame, 0.01, 0.99));
        case GI_CHANNEL_OWN_WINDOW: break;
        default: throw Failure(GI_INVALID_ARGUMENT, "channel kind %d", channel.kind);
    }
    if (!frame.window_defect.empty()) throw Failure(GI_DECODE_FAILED, "%s", frame.window_defect.c_str());
    if (!frame.voi_table.empty()) {
        Transfer transfer;
        transfer.scale = static_cast<float>(frame.slope);
        transfer.shift = static_cast<float>(frame.intercept);
        transfer.is_table = true;
        transfer.is_inverted = frame.is_monochrome1;
        return transfer;
    }
    if (!frame.has_window) return between(frame, percentiles(frame, 0, 1));
    switch (frame.window_function) {
        case gi_frame::WindowFunction::linear_exact: return windowed(frame, frame.window_center, frame.window_width);
        case gi_frame::WindowFunction::sigmoid: {
            // PS3.3 C.11.2.1.3.1: 1 / (1 + exp(−4 (x − c) / w))
            Transfer transfer;
            transfer.scale = static_cast<float>(4 * frame.slope / frame.window_width);
            transfer.shift = static_cast<float>(4 * (frame.intercept - frame.window_center) / frame.window_width);
            transfer.is_sigmoid = true;
            transfer.is_inverted = frame.is_monochrome1;
            return transfer;
        }
        default:
            // PS3.3 C.11.2.1.2.1: (x − (c − 0.5)) / (w − 1) + 0.5; a width of 1 is a threshold: 0 up to c − 0.5, 1 above. A
            // steep line that begins there, by a power of 2, so that nothing is rounded.
            if (frame.window_width == 1) return windowed(frame, frame.window_center - 0.5 + 0x1p-11, 0x1p-10);
            return windowed(frame, frame.window_center - 0.5, frame.window_width - 1);
    }
}

/// Source rows as 0…1, the last two kept because neighbouring output rows share them.
class Rows {
public:
    Rows(const gi_frame &frame, const Transfer &transfer) : frame_(frame), transfer_(transfer) {
        for (auto &row : kept_) row.values.resize(frame.columns);
        if (transfer.is_inverted && !transfer.is_sigmoid && !transfer.is_table) {
            transfer_.scale = -transfer.scale;
            transfer_.shift = 1 - transfer.shift;
        }
    }

    const float *row(uint32_t index) {
        for (auto &row : kept_)
            if (row.is_filled && row.index == index) return row.values.data();
        auto &row = kept_[turn_ ^= 1];
        row.index = index;
        row.is_filled = true;
        fill(index, row.values.data());
        return row.values.data();
    }

private:
    struct Kept {
        bool is_filled = false;
        uint32_t index = 0;
        std::vector<float> values;
    };

    void fill(uint32_t index, float *out) {
        const size_t columns = frame_.columns;
        with_samples(frame_, [&](const auto *samples) {
            using Sample = std::decay_t<decltype(*samples)>;
            const auto *const row = samples + size_t{index} * columns;
            if (transfer_.is_sigmoid) {
                for (size_t i = 0; i < columns; ++i) {
                    const float x = static_cast<float>(row[i]) * transfer_.scale + transfer_.shift;
                    const float y = 1 / (1 + std::exp(-x));
                    out[i] = std::isnan(y) ? 0 : transfer_.is_inverted ? 1 - y : y;
                }
            } else if (transfer_.is_table) {
                for (size_t i = 0; i < columns; ++i) {
                    const float x = static_cast<float>(row[i]) * transfer_.scale + transfer_.shift;
                    out[i] = std::isnan(x) ? 0 : looked_up(x);
                }
            } else {
                scale_and_clip(row, columns, transfer_.scale, transfer_.shift, out);
            }
            if constexpr (!std::is_same_v<Sample, float>) {
                if (!frame_.has_padding) return;
                const auto low = static_cast<int32_t>(std::clamp(frame_.padding_low, -1e6, 1e6));
                const auto high = static_cast<int32_t>(std::clamp(frame_.padding_high, -1e6, 1e6));
                blank_out(row, columns, low, high, out);
            }
        });
    }

    float looked_up(float modality) const noexcept {
        const double last = static_cast<double>(frame_.voi_table.size() - 1);
        const double place = std::clamp(std::round(static_cast<double>(modality) - frame_.voi_first), 0.0, last);
        const float y = frame_.voi_table[static_cast<size_t>(place)];
        return transfer_.is_inverted ? 1 - y : y;
    }

    const gi_frame &frame_;
    Transfer transfer_;
    Kept kept_[2];
    int turn_ = 0;
};

/// Where the values of a model input lie along one axis of a frame: the first one begins at `position`, each covers `step`,
/// in the frame's pixels; counted from the other end when `is_flipped`.
struct Extent {
    double position, step;
    bool is_flipped;

    Axis axis(uint32_t source, uint32_t output) const { return Axis(source, output, position, step, is_flipped); }

    /// Frame to input.
    gi_line inverse(uint32_t source) const {
        if (is_flipped) return {-1 / step, (source - position) / step};
        return {1 / step, -position / step};
    }
};

struct Plan {
    Extent vertical, horizontal;
};

/// Whether axial rows run to the patient's right, and columns to anterior (PS3.3 C.7.6.2.1.1).
void flips(const gi_frame &frame, bool *columns, bool *rows) {
    *columns = *rows = false;
    if (!frame.has_orientation) return;
    const double *const o = frame.orientation;
    const bool is_axial = std::fabs(o[0]) > std::fabs(o[1]) && std::fabs(o[0]) > std::fabs(o[2]) &&
                          std::fabs(o[4]) > std::fabs(o[3]) && std::fabs(o[4]) > std::fabs(o[5]);
    if (!is_axial) return;
    *columns = o[0] < 0;
    *rows = o[4] < 0;
}

Plan plan(const gi_frame &frame, const gi_preparation &preparation) {
    bool flip_columns = false, flip_rows = false;
    if (preparation.radiological != 0) flips(frame, &flip_columns, &flip_rows);
    const double height = preparation.height, width = preparation.width, rows = frame.rows, columns = frame.columns;
    if (preparation.pixel_spacing > 0 && preparation.letterbox != 0) {
        if (!(frame.spacing[0] > 0 && frame.spacing[1] > 0))
            throw Failure(
                GI_BAD_GEOMETRY, "the model wants %g mm pixels, but PixelSpacing (0028,0030) is missing",
                preparation.pixel_spacing);
        const double down = preparation.pixel_spacing / frame.spacing[0];
        const double across = preparation.pixel_spacing / frame.spacing[1];
        return {
            {(rows - height * down) / 2, down, flip_rows}, {(columns - width * across) / 2, across, flip_columns}};
    }
    double content_height = height, content_width = width;
    if (preparation.letterbox != 0) {
        // In units of a pixel's width, so that pixels that are not square keep the body's shape.
        const double tall = rows * frame.aspect;
        const double scale = std::min(height / tall, width / columns);
        content_height = std::clamp(std::round(tall * scale), 1.0, height);
        content_width = std::clamp(std::round(columns * scale), 1.0, width);
    }
    const double down = rows / content_height, across = columns / content_width;
    const double top = std::floor((height - content_height) / 2), left = std::floor((width - content_width) / 2);
    return {{-top * down, down, flip_rows}, {-left * across, across, flip_columns}};
}

void require_valid(const gi_frame *frame, const gi_preparation *preparation) {
    if (frame == nullptr || preparation == nullptr || frame->type == gi_frame::Type::none)
        throw Failure(GI_INVALID_ARGUMENT, "an empty frame");
    const uint32_t height = preparation->height, width = preparation->width;
    if (height == 0 || width == 0 || height > 16384 || width > 16384 || preparation->channel_count == 0 ||
        preparation->channel_count > 64 || preparation->channels == nullptr)
        throw Failure(GI_INVALID_ARGUMENT, "a model input of %u × %u × %u", preparation->channel_count, height, width);
}

void prepare_channel(
    const gi_frame &frame, const Axis &down, const Axis &across, const gi_channel &channel, uint32_t height, uint32_t width, float *out) {
    const float deviation = channel.deviation != 0 ? channel.deviation : 1;
    const float background = (0 - channel.mean) / deviation;
    std::fill(out, out + size_t{height} * width, background);
    Rows rows(frame, transfer_of(frame, channel));
    std::vector<float> sum(frame.columns);
    for (uint32_t y = down.begin; y < down.end; ++y) {
        const float *line = nullptr;
        if (down.taps[y] == 1 && down.weights[down.offset[y]] == 1) {
            line = rows.row(down.first[y]);
        } else {
            std::fill(sum.begin(), sum.end(), 0.f);
            for (uint32_t tap = 0; tap < down.taps[y]; ++tap)
                add_scaled(rows.row(down.first[y] + tap), sum.size(), down.weights[down.offset[y] + tap], sum.data());
            line = sum.data();
        }
        float *const target = out + size_t{y} * width;
        for (uint32_t x = across.begin; x < across.end; ++x) {
            const float *const values = line + across.first[x];
            const float *const weights = across.weights.data() + across.offset[x];
            float value = 0;
            for (uint32_t tap = 0; tap < across.taps[x]; ++tap) value += values[tap] * weights[tap];
            target[x] = (value - channel.mean) / deviation;
        }
    }
}

}  // namespace

extern "C" int32_t gi_prepare(
    const gi_frame *frame, const gi_preparation *preparation, float *out, size_t count, gi_error *error) {
    return guarded(error, [&] {
        require_valid(frame, preparation);
        const uint32_t height = preparation->height, width = preparation->width;
        if (out == nullptr || count < size_t{height} * width * preparation->channel_count)
            throw Failure(GI_INVALID_ARGUMENT, "too little room for the model input");
        const Plan plan = ::plan(*frame, *preparation);
        const Axis down = plan.vertical.axis(frame->rows, height), across = plan.horizontal.axis(frame->columns, width);
        for (uint32_t channel = 0; channel < preparation->channel_count; ++channel)
            prepare_channel(
                *frame, down, across, preparation->channels[channel], height, width, out + size_t{channel} * height * width);
    });
}

extern "C" int32_t gi_place(
    const gi_frame *frame, const gi_preparation *preparation, gi_placement *out, gi_error *error) {
    return guarded(error, [&] {
        require_valid(frame, preparation);
        if (out == nullptr) throw Failure(GI_INVALID_ARGUMENT, "no room for the placement");
        const Plan plan = ::plan(*frame, *preparation);
        *out = {
            frame->rows, frame->columns, plan.vertical.inverse(frame->rows), plan.horizontal.inverse(frame->columns)};
    });
}
