// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

// The loops that touch every pixel, compiled for AVX2 beside the plain form; both give the same values.

namespace gantry {

/// min(max(value × scale + shift, 0), 1)
void scale_and_clip(const uint8_t *values, size_t count, float scale, float shift, float *out) noexcept;
void scale_and_clip(const uint16_t *values, size_t count, float scale, float shift, float *out) noexcept;
void scale_and_clip(const int16_t *values, size_t count, float scale, float shift, float *out) noexcept;
void scale_and_clip(const float *values, size_t count, float scale, float shift, float *out) noexcept;

/// 0 where the value is one of `low` to `high`.
void blank_out(const uint8_t *values, size_t count, int32_t low, int32_t high, float *out) noexcept;
void blank_out(const uint16_t *values, size_t count, int32_t low, int32_t high, float *out) noexcept;
void blank_out(const int16_t *values, size_t count, int32_t low, int32_t high, float *out) noexcept;

/// sum += values × weight
void add_scaled(const float *values, size_t count, float weight, float *sum) noexcept;

}  // namespace gantry
