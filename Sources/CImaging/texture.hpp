// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace gantry {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere for the same seed.
class Random {
public:
    explicit Random(uint64_t seed) noexcept : state_(seed) {}

    uint64_t next() noexcept {
        uint64_t z = state_ += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }

    /// Close to normal with mean 0 and deviation 1: the sum of four uniform 16-bit numbers.
    float normal() noexcept {
        const uint64_t bits = next();
        const auto sum = static_cast<float>(
            (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48 & 0xFFFF));
        return (sum - 131070.f) * (1.7320508f / 65536.f);
    }

    float uniform() noexcept { return static_cast<float>(next() >> 40) * (1.f / 16777216.f); }

private:
    uint64_t state_;
};

/// Smooth noise in space between −1 and 1, periodic over 32 cells.
class Noise {
public:
    explicit Noise(uint64_t seed) : lattice_(side * side * side) {
        Random random(seed);
        for (float &value : lattice_) value = random.uniform() * 2 - 1;
    }

    float operator()(float x, float y, float z) const noexcept {
        const float fx = std::floor(x), fy = std::floor(y), fz = std::floor(z);
        const auto ix = static_cast<int>(fx), iy = static_cast<int>(fy), iz = static_cast<int>(fz);
        const float u = ease(x - fx), v = ease(y - fy), w = ease(z - fz);
        const int x0 = ix & mask, x1 = (ix + 1) & mask;
        const int y0 = (iy & mask) * side, y1 = ((iy + 1) & mask) * side;
        const int z0 = (iz & mask) * side * side, z1 = ((iz + 1) & mask) * side * side;
        const float *const l = lattice_.data();
        const float near = mix(mix(l[z0 + y0 + x0], l[z0 + y0 + x1], u), mix(l[z0 + y1 + x0], l[z0 + y1 + x1], u), v);
        const float far = mix(mix(l[z1 + y0 + x0], l[z1 + y0 + x1], u), mix(l[z1 + y1 + x0], l[z1 + y1 + x1], u), v);
        return mix(near, far, w);
    }

private:
    static constexpr int side = 32, mask = side - 1;
    static float ease(float t) noexcept { return t * t * (3 - 2 * t); }
    static float mix(float a, float b, float t) noexcept { return a + (b - a) * t; }
    std::vector<float> lattice_;
};

/// 0 below −edge/2, 1 above edge/2, smooth between.
inline float step(float distance, float edge) noexcept {
    const float t = distance / edge + 0.5f;
    if (t <= 0) return 0;
    if (t >= 1) return 1;
    return t * t * (3 - 2 * t);
}

inline float mix(float a, float b, float share) noexcept { return a + (b - a) * share; }

/// A Gaussian blur of `sigma` pixels; below 0.1 it leaves the picture as it is.
class Gaussian {
public:
    explicit Gaussian(double sigma);
    void blur(std::vector<float> &picture, uint32_t rows, uint32_t columns) const;
    /// What is left of the deviation of white noise.
    float noise_gain() const noexcept { return noise_gain_; }

private:
    float at(int i) const noexcept { return kernel_[static_cast<size_t>(i < 0 ? -i : i)]; }

    int reach_ = 0;
    /// From the middle outwards.
    std::vector<float> kernel_ = {1};
    float noise_gain_ = 1;
};

}  // namespace gantry
