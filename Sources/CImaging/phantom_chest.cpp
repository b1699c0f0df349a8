// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "failure.hpp"
#include "include/gantry_phantom.h"
#include "texture.hpp"

using namespace gantry;

namespace {

float f(double value) noexcept { return static_cast<float>(value); }

/// The length of a ray through an ellipsoid, `depth` its half axis along the ray.
float chord(float u, float v, float depth) noexcept {
    const float q = u * u + v * v;
    return q >= 1 ? 0 : 2 * depth * std::sqrt(1 - q);
}

/// A chest as thicknesses along the rays of a frontal view; x to the patient's left, y down, mm.
class Chest {
public:
    explicit Chest(const gp_chest &chest)
        : chest_(chest), folds_(chest.seed ^ 0x3003), grain_(chest.seed ^ 0x4004),
          cosine_(f(std::cos(chest.opacity.rotation))), sine_(f(std::sin(chest.opacity.rotation))) {}

    /// Attenuation along the ray at a point of the picture.
    float attenuation(float x, float y) const noexcept {
        constexpr float soft = 0.0195f, bone = 0.021f;
        const float body = body_thickness(x, y);
        if (body <= 0) return 0;
        const float air = std::min(air_thickness(x, y), body * 0.9f);
        const float filled = air * opacity(x, y);
        const float vessels = vessel_thickness(x, y, air);
        return soft * (body - air + filled + vessels) + bone * bone_thickness(x, y, body);
    }

    /// Filled lung along the ray, mm.
    float filling(float x, float y) const noexcept { return air_thickness(x, y) * opacity(x, y); }

private:
    float body_thickness(float x, float y) const noexcept {
        // Shoulders: wide and thin above, the trunk below.
        const float shoulder = step(-100 - y, 130);
        const float width = mix(f(chest_.half_width), f(chest_.half_width) * 1.35f, shoulder);
        const float thickness = mix(f(chest_.soft_tissue), f(chest_.soft_tissue) * 0.75f, shoulder);
        const float neck = step(-150 - y - 0.35f * std::fabs(x), 30) * step(std::fabs(x) - 62, 30);
        const float u = x / width;
        const float square = u * u;
        if (square >= 1) return 0;
        return thickness * std::sqrt(1 - square * square) * (1 - neck);
    }

    float diaphragm(float x) const noexcept {
        const float side = x < 0 ? -8.f : 6.f;
        const float from_dome = std::fabs(x) - 62;
        return f(chest_.diaphragm) + side + 0.0085f * from_dome * from_dome + 2 * grain_(x * 0.02f, 3, 1);
    }

    float air_thickness(float x, float y) const noexcept {
        const float lung_center = f(chest_.half_width) * 0.44f;
        const float from_center = std::fabs(x) - lung_center;
        const float u = from_center / f(chest_.lung_width);
        const float v = (y - 12) / f(chest_.lung_height);
        // Flatter than an ellipsoid at the sides, round at the apex.
        const float q = u * u * mix(1, std::fabs(u), step(y - 12, 120)) + v * v;
        if (q >= 1) return bubble(x, y);
        float air = 178 * std::sqrt(1 - q) * step(diaphragm(x) - y, 7);
        const float heart_x = (x - 26) / f(chest_.heart), heart_y = (y - 68) / (f(chest_.heart) * 0.86f);
        air -= 1.5f * chord(heart_x + 0.25f * heart_y, heart_y, 62);
        // Great vessels and aortic arch.
        const float half = 27 + 4 * std::sin(y * 0.03f) + 9 * std::exp(-(y + 42) * (y + 42) / 500) * (x > 0 ? 1 : 0.3f);
        air -= 190 * step(half - std::fabs(x), 11);
        return std::max(air, bubble(x, y));
    }

    /// Gas in the stomach, under the left dome.
    float bubble(float x, float y) const noexcept {
        return 0.7f * chord((x - 72) / 26, (y - f(chest_.diaphragm) - 24) / 12, 24);
    }

    float opacity(float x, float y) const noexcept {
        const gp_opacity &opacity = chest_.opacity;
        if (opacity.strength <= 0) return 0;
        const float dx = x - f(opacity.center[0]), dy = y - f(opacity.center[1]);
        const float u = (dx * cosine_ + dy * sine_) / f(opacity.axes[0]);
        const float v = (dy * cosine_ - dx * sine_) / f(opacity.axes[1]);
        const float q = std::sqrt(u * u + v * v) + 0.28f * folds_(x * 0.06f, y * 0.06f, 5) +
                        0.12f * grain_(x * 0.16f, y * 0.16f, 9);
        const float patches = 0.82f + 0.18f * grain_(x * 0.1f, y * 0.1f, 2);
        return std::min(1.f, f(opacity.strength) * patches) * step(1 - q, 0.7f);
    }

    float vessel_thickness(float x, float y, float air) const noexcept {
        if (air < 4) return 0;
        // Branches fan out from the hilum: ridges of a field in polar coordinates that thin out with distance.
        const float dx = std::fabs(x) - 34, dy = y - 4;
        const float distance = std::sqrt(dx * dx + dy * dy);
        const float angle = std::atan2(dy, dx);
        const float side = x < 0 ? 0.f : 17.f;
        const float field = folds_(angle * 5 + side, distance * 0.016f, side) +
                            0.6f * folds_(angle * 11 + side, distance * 0.03f, side + 4);
        const float ridge = step(0.13f - std::fabs(field), 0.16f);
        const float fade = std::exp(-distance / 55);
        const float interstitium = 3 * grain_(x * 0.2f, y * 0.2f, 6) + 4 * grain_(x * 0.07f, y * 0.07f, 8);
        return std::min(air, f(chest_.vessels) * (22 * ridge * fade + 26 * std::exp(-distance / 16)) + interstitium);
    }

    float bone_thickness(float x, float y, float body) const noexcept {
        float bone = 0;
        // Spine with disc spaces.
        const float disc = 0.8f + 0.2f * step(std::fabs(std::fmod(y + 400, 26.f) - 13) - 2, 3);
        bone += 13 * disc * step(16 - std::fabs(x), 9);
        const float outer = f(chest_.half_width) * 0.93f;
        const float across = std::fabs(x);
        if (across < outer + 4) {
            for (int rib = 0; rib < 10; ++rib) {
                const float start = -128 + f(rib) * 25;
                const float reach = std::min(outer, 84 + f(rib) * 14);
                if (across < 16 || across > reach + 4) continue;
                // Posterior arch: rises a little from the spine, then falls to the side.
                const float share = across / outer;
                const float posterior = start - 10 * std::sin(share * 2.4f) + f(chest_.rib_tilt) * 46 * share * share;
                bone += 1.5f * rib_profile(y - posterior, 6.2f) * step(reach - across, 8);
                // Anterior arch: falls towards the midline, ends in cartilage.
                const float anterior = start + 92 - 78 * share * share + 8 * share;
                if (rib < 6)
                    bone += 0.9f * rib_profile(y - anterior, 6.8f) * step(across - 52, 26) * step(reach - across, 8);
            }
        }
        // Clavicles.
        const float clavicle = -118 - 0.17f * (across - 20) + 7 * std::sin(across * 0.035f);
        if (across > 14)
            bone += 1.1f * rib_profile(y - clavicle, 5.5f) * step(across - 16, 6) * step(142 - across, 10);
        return body > 0 ? bone : 0;
    }

    /// A tube of cortex: denser at its edges, mm of bone.
    static float rib_profile(float distance, float half) noexcept {
        const float inside = half - std::fabs(distance);
        if (inside <= -1) return 0;
        return step(inside, 1.8f) * (6.5f + 5 * std::exp(-inside / 1.3f));
    }

    static float f(double value) noexcept { return static_cast<float>(value); }
    static float f(int value) noexcept { return static_cast<float>(value); }

    const gp_chest &chest_;
    Noise folds_, grain_;
    float cosine_, sine_;
};

void require_valid(const gp_chest *chest) {
    if (chest == nullptr || chest->rows == 0 || chest->columns == 0 || chest->rows > 8192 || chest->columns > 8192 ||
        !(chest->pixel_spacing > 0) || !(chest->half_width > 20) || !(chest->lung_height > 20) ||
        !(chest->lung_width > 10) || !(chest->heart > 10))
        throw Failure(GI_INVALID_ARGUMENT, "a chest phantom without size");
}

}  // namespace

extern "C" {

int32_t gp_render_chest(const gp_chest *chest, float *out, size_t count, gi_error *error) {
    return guarded(error, [&] {
        require_valid(chest);
        const uint32_t rows = chest->rows, columns = chest->columns;
        if (out == nullptr || count < size_t{rows} * columns) throw Failure(GI_INVALID_ARGUMENT, "too little room");
        const Chest anatomy(*chest);
        std::vector<float> picture(size_t{rows} * columns);
        const float spacing = f(chest->pixel_spacing);
        Random random(chest->seed * 0x9E3779B97F4A7C15 + 1);
        const Gaussian kernel(chest->blur);
        const float deviation = f(chest->noise) / kernel.noise_gain();
        for (uint32_t row = 0; row < rows; ++row) {
            const float y = (static_cast<float>(row) - static_cast<float>(rows - 1) / 2) * spacing;
            for (uint32_t column = 0; column < columns; ++column) {
                const float x = (static_cast<float>(column) - static_cast<float>(columns - 1) / 2) * spacing;
                const float attenuation = anatomy.attenuation(x, y);
                // Fewer quanta behind more tissue.
                const float grain = deviation * std::exp(attenuation * 0.35f) * random.normal();
                picture[size_t{row} * columns + column] = attenuation + grain;
            }
        }
        kernel.blur(picture, rows, columns);
        std::transform(picture.begin(), picture.end(), out, [&](float value) {
            const float share = std::clamp(value / 5.4f, 0.f, 1.f);
            return std::clamp(std::pow(share, f(chest->gamma)) * f(chest->contrast) + f(chest->brightness), 0.f, 1.f);
        });
    });
}

int32_t gp_measure_opacity(const gp_chest *chest, double *volume, gi_error *error) {
    return guarded(error, [&] {
        require_valid(chest);
        if (volume == nullptr) throw Failure(GI_INVALID_ARGUMENT, "no place for the measure");
        *volume = 0;
        if (chest->opacity.strength <= 0) return;
        const Chest anatomy(*chest);
        constexpr float pitch = 1;
        double sum = 0;
        for (float y = -200; y < 200; y += pitch)
            for (float x = -200; x < 200; x += pitch) sum += static_cast<double>(anatomy.filling(x, y) * pitch * pitch);
        *volume = sum / 1000;
    });
}

}  // extern "C"
