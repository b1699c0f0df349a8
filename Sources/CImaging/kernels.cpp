// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernels.hpp"

#if defined(__x86_64__)
#define GANTRY_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define GANTRY_CLONES
#endif

namespace gantry {

#define GANTRY_SCALE_AND_CLIP(Sample)                                                                               \
    GANTRY_CLONES void scale_and_clip(                                                                             \
        const Sample *__restrict values, size_t count, float scale, float shift, float *__restrict out) noexcept { \
        for (size_t i = 0; i < count; ++i) {                                                                       \
            float y = static_cast<float>(values[i]) * scale + shift;                                               \
            y = y > 0 ? y : 0;                                                                                     \
            out[i] = y < 1 ? y : 1;                                                                                \
        }                                                                                                          \
    }

GANTRY_SCALE_AND_CLIP(uint8_t)
GANTRY_SCALE_AND_CLIP(uint16_t)
GANTRY_SCALE_AND_CLIP(int16_t)
GANTRY_SCALE_AND_CLIP(float)

#define GANTRY_BLANK_OUT(Sample)                                                                                     \
    GANTRY_CLONES void blank_out(                                                                                  \
        const Sample *__restrict values, size_t count, int32_t low, int32_t high, float *__restrict out) noexcept { \
        for (size_t i = 0; i < count; ++i) out[i] = values[i] >= low && values[i] <= high ? 0 : out[i];            \
    }

GANTRY_BLANK_OUT(uint8_t)
GANTRY_BLANK_OUT(uint16_t)
GANTRY_BLANK_OUT(int16_t)

GANTRY_CLONES void add_scaled(
    const float *__restrict values, size_t count, float weight, float *__restrict sum) noexcept {
    for (size_t i = 0; i < count; ++i) sum[i] += values[i] * weight;
}

}  // namespace gantry
