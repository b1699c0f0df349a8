// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "failure.hpp"
#include "include/gantry_phantom.h"
#include "texture.hpp"

using namespace gantry;

namespace {

struct Point {
    float x, y, z;
};

/// An ellipsoid in the head's own coordinates, turned about z.
struct Ellipsoid {
    Point center, axes;
    float cosine = 1, sine = 0;

    Ellipsoid(Point at, Point half, float turn = 0)
        : center(at), axes(half), cosine(std::cos(turn)), sine(std::sin(turn)) {}

    /// Distance from the surface in mm, positive inside; exact on the surface, fair near it.
    float depth(Point p) const noexcept {
        const float dx = p.x - center.x, dy = p.y - center.y, dz = p.z - center.z;
        const float u = (dx * cosine + dy * sine) / axes.x, v = (dy * cosine - dx * sine) / axes.y, w = dz / axes.z;
        const float q = std::sqrt(u * u + v * v + w * w);
        const float least = std::min({axes.x, axes.y, axes.z});
        return (1 - q) * least;
    }
};

/// Soft tissue edges, mm.
constexpr float edge = 0.8f;

class Head {
public:
    explicit Head(const gp_head &head)
        : head_(head), folds_(head.seed ^ 0x1001), grain_(head.seed ^ 0x2002),
          cosine_(static_cast<float>(std::cos(head.yaw))), sine_(static_cast<float>(std::sin(head.yaw))),
          bleed_({f(head.bleed.center[0]), f(head.bleed.center[1]), f(head.bleed.center[2])},
                 {std::max(1.f, f(head.bleed.axes[0])), std::max(1.f, f(head.bleed.axes[1])),
                  std::max(1.f, f(head.bleed.axes[2]))},
                 f(head.bleed.rotation)) {
        const float s = f(head.ventricles);
        for (const float side : {-1.f, 1.f}) {
            fluid_.push_back({{side * 8, -24, 16}, {4.5f * s, 14, 7 * s}, side * -0.25f});
            fluid_.push_back({{side * 12, 4, 22}, {5 * s, 24, 6.5f * s}, side * -0.22f});
            fluid_.push_back({{side * 21, 33, 12}, {5.5f * s, 15, 6 * s}, side * 0.25f});
            fluid_.push_back({{side * 33, -14, -24}, {9, 3, 5}, side * 0.9f});
            nuclei_.push_back({{side * 13, -16, 14}, {5, 10, 9}, side * -0.3f});
            nuclei_.push_back({{side * 25, -4, 8}, {6.5f, 16, 11}, side * -0.2f});
            nuclei_.push_back({{side * 10, 10, 8}, {8, 13, 9}, side * -0.4f});
            petrous_.push_back({{side * 36, 14, -42}, {30, 8, 9}, side * -0.6f});
            calcified_.push_back({{side * 17, 29, 14}, {2.4f, 3.2f, 2.8f}});
        }
        fluid_.push_back({{0, -1, 6}, {1.8f * s, 12, 9}});
        fluid_.push_back({{0, 40, -26}, {6 * s, 5, 7}});
        fluid_.push_back({{0, -8, -22}, {12, 8, 6}});
        fluid_.push_back({{0, 24, -2}, {9, 4, 5}});
        calcified_.push_back({{0, 19, 6}, {2.6f, 3, 2.6f}});
    }

    /// HU without blur and noise at a point of the patient.
    float density(Point patient) const noexcept {
        const Point p = turned(patient);
        const float depth = skin_depth(p);
        if (depth < -edge) return rest(patient, depth);
        const float scalp = f(head_.scalp);
        float value = mix(-1000, soft_tissue(p, depth, scalp), step(depth, edge));
        if (depth < scalp - edge) return value;
        const float wall = skull(p);
        const float inner = depth - scalp - wall;
        value = mix(value, bone(p, depth - scalp, wall), step(depth - scalp, edge));
        if (inner < -edge) return base(p, value, inner);
        return base(p, mix(value, brain(p, inner), step(inner, edge)), inner);
    }

    /// Share of bleed at a point, by nothing but geometry.
    float bleed_share(Point patient) const noexcept {
        const Point p = turned(patient);
        const float inner = inner_depth(p);
        return inner < -edge ? 0 : bleed(p, inner) * step(inner, edge);
    }

    float bleed_density(Point p) const noexcept {
        return f(head_.bleed.density) + 5 * grain_(p.x * 0.22f, p.y * 0.22f, p.z * 0.22f + 3);
    }

private:
    static float f(double value) noexcept { return static_cast<float>(value); }

    Point turned(Point p) const noexcept {
        const float x = p.x - f(head_.shift[0]), y = p.y - f(head_.shift[1]);
        return {x * cosine_ + y * sine_, y * cosine_ - x * sine_, p.z};
    }

    float skin_depth(Point p) const noexcept {
        // Narrower in front than behind, flat towards the base.
        const float width = f(head_.half_width) * (1 + 0.0009f * p.y);
        const float height = p.z > 0 ? f(head_.half_height) : f(head_.half_height) * 1.9f;
        const float u = p.x / width, v = p.y / f(head_.half_length), w = p.z / height;
        const float q = std::sqrt(u * u + v * v + w * w);
        const float length = std::sqrt(p.x * p.x + p.y * p.y + p.z * p.z);
        return q < 1e-3f ? f(head_.half_width) : length * (1 - q) / q;
    }

    /// The bone's thickness here.
    float skull(Point p) const noexcept {
        return f(head_.skull) * (1 + 0.22f * folds_(p.x * 0.03f, p.y * 0.03f, p.z * 0.03f + 7));
    }

    float inner_depth(Point p) const noexcept { return skin_depth(p) - f(head_.scalp) - skull(p); }

    /// The head rest: a thin shell behind the head.
    float rest(Point p, float depth) const noexcept {
        if (p.y < 25 || depth < -24) return -1000;
        const float shell = 1.4f - std::fabs(depth + 14);
        return mix(depth > -14 ? -955.f : -1000.f, 120, step(shell, edge));
    }

    float soft_tissue(Point p, float depth, float scalp) const noexcept {
        const float fat = step(depth - 1.6f, edge) * step(scalp - 0.8f - depth, edge);
        const float lobules = 0.6f + 0.4f * grain_(p.x * 0.15f, p.y * 0.15f, p.z * 0.15f);
        return mix(38, -85, fat * lobules);
    }

    float bone(Point p, float depth, float wall) const noexcept {
        const float table = wall * 0.28f;
        const float diploe = step(depth - table, edge) * step(wall - table - depth, edge);
        return mix(1250, 520 + 160 * grain_(p.x * 0.35f, p.y * 0.35f, p.z * 0.35f), diploe);
    }

    /// Petrous bones and the air of the frontal sinus and mastoids in the lowest slices.
    float base(Point p, float value, float inner) const noexcept {
        if (p.z > -24 || inner < -12) return value;
        for (const Ellipsoid &petrous : petrous_) {
            const float depth = petrous.depth(p);
            if (depth < -edge) continue;
            value = mix(value, 950 + 250 * grain_(p.x * 0.3f, p.y * 0.3f, p.z * 0.3f), step(depth, edge));
        }
        static const Ellipsoid sinus({0, -66, -46}, {18, 9, 14});
        const float depth = sinus.depth(p);
        if (depth > -2) value = mix(mix(value, 700, step(depth + 1.5f, edge)), -960, step(depth, edge));
        return value;
    }

    float brain(Point p, float inner) const noexcept {
        const float white = f(head_.white), grey = f(head_.grey), fluid = 8;
        // Folds: fluid where the field crosses zero near the surface, cortex on both sides of it.
        const float field = folds_(p.x * 0.072f, p.y * 0.072f, p.z * 0.072f) +
                            0.5f * folds_(p.x * 0.15f, p.y * 0.15f, p.z * 0.15f + 11);
        const float crossing = std::fabs(field);
        const float cortex = std::max(step(4.5f - inner, 2.5f), step(0.24f - crossing, 0.16f) * step(24 - inner, 8));
        const float sulcus = step(0.05f + 0.012f * f(head_.atrophy) - crossing, 0.05f) * step(15 - inner, 8);
        float value = mix(mix(white, grey, cortex), fluid + 6, 0.85f * sulcus);
        // The cerebellum under its tent, finely folded.
        const float under_tent = std::min(-10 - 0.25f * std::fabs(p.x) - p.z, p.y - 14 - 0.35f * std::fabs(p.x));
        if (under_tent > -2)
            value = mix(value, grey - 3 + 3 * std::sin(p.y * 1.0f + 4 * field), step(under_tent, 3));
        value = mix(fluid + 4, value, step(inner - f(head_.atrophy), 1.6f));
        for (const Ellipsoid &nucleus : nuclei_) {
            const float depth = nucleus.depth(p);
            if (depth > -1) value = mix(value, grey, step(depth, 1.6f));
        }
        // Falx and the fissure beside it.
        const float from_middle = std::fabs(p.x + 0.8f * grain_(0, p.y * 0.05f, p.z * 0.05f));
        const bool has_falx = p.z > 14 || (p.z > -8 && (p.y < -38 || p.y > 46));
        if (has_falx && from_middle < 4) {
            const float reach = p.z > 28 ? 1 : step(30 - inner, 10);
            value = mix(value, fluid + 4, 0.8f * reach * step(2.2f - from_middle, 1.2f));
            value = mix(value, f(head_.falx), reach * step(0.7f - from_middle, edge));
        }
        for (const Ellipsoid &ventricle : fluid_) {
            const float depth = ventricle.depth(p);
            if (depth > -edge) value = mix(value, fluid, step(depth, edge));
        }
        value += 1.5f * grain_(p.x * 0.12f, p.y * 0.12f, p.z * 0.12f);
        value = with_bleed(p, inner, value);
        for (size_t i = 0; i < calcified_.size(); ++i) {
            const float height = i + 1 == calcified_.size() ? f(head_.pineal) : f(head_.choroid);
            const float depth = calcified_[i].depth(p);
            if (depth > -edge && height > 0) value = mix(value, height, step(depth, 1.2f));
        }
        // Beam hardening: brighter under the bone, a dark band between the petrous bones.
        value += f(head_.cupping) * std::exp(-inner / 7);
        if (p.z < -26 && std::fabs(p.x) < 26) value -= 6 * std::exp(-(p.y - 14) * (p.y - 14) / 60);
        return value;
    }

    float with_bleed(Point p, float inner, float value) const noexcept {
        if (head_.bleed.kind == GP_NO_LESION) return value;
        if (head_.bleed.kind == GP_INTRAPARENCHYMAL) {
            // Oedema around it.
            const float least = std::min({bleed_.axes.x, bleed_.axes.y, bleed_.axes.z});
            const float depth = ragged_depth(p) + 0.35f * least;
            if (depth > 0) value = mix(value, 20, 0.55f * step(depth - 1, 4));
        }
        const float share = bleed(p, inner);
        return share > 0 ? mix(value, bleed_density(p), share) : value;
    }

    float ragged_depth(Point p) const noexcept {
        const float least = std::min({bleed_.axes.x, bleed_.axes.y, bleed_.axes.z});
        const float depth = bleed_.depth(p);
        if (depth < -0.9f * least) return depth;
        return depth + f(head_.bleed.irregularity) * least * folds_(p.x * 0.11f + 5, p.y * 0.11f, p.z * 0.11f);
    }

    float bleed(Point p, float inner) const noexcept {
        const gp_bleed &bleed = head_.bleed;
        if (bleed.kind == GP_NO_LESION) return 0;
        if (bleed.kind == GP_INTRAPARENCHYMAL) return step(ragged_depth(p), 1.6f);
        const float length = std::sqrt(p.x * p.x + p.y * p.y + p.z * p.z);
        const Point c = bleed_.center;
        const float toward = std::sqrt(c.x * c.x + c.y * c.y + c.z * c.z);
        if (length < 1 || toward < 1) return 0;
        const float cosine = (p.x * c.x + p.y * c.y + p.z * c.z) / (length * toward);
        const float angle = std::acos(std::clamp(cosine, -1.f, 1.f)) / f(bleed.axes[1]);
        if (angle >= 1) return 0;
        // A crescent keeps its thickness far out; a lens falls off from its middle.
        const float profile = bleed.kind == GP_SUBDURAL ? std::sqrt(1 - angle * angle * angle) : 1 - angle * angle;
        const float wander = f(bleed.irregularity) * folds_(p.x * 0.05f + 9, p.y * 0.05f, p.z * 0.05f);
        return step(f(bleed.axes[0]) * profile * (1 + wander) - inner, 1.4f);
    }

    const gp_head &head_;
    Noise folds_, grain_;
    float cosine_, sine_;
    std::vector<Ellipsoid> fluid_, nuclei_, petrous_, calcified_;
    Ellipsoid bleed_;
};

void require_valid(const gp_head *head) {
    if (head == nullptr || head->rows == 0 || head->columns == 0 || head->rows > 4096 || head->columns > 4096 ||
        !(head->pixel_spacing > 0) || !(head->half_width > 20) || !(head->half_length > 20) ||
        !(head->half_height > 20))
        throw Failure(GI_INVALID_ARGUMENT, "a head phantom without size");
}

/// Calls the body with the place of each pixel of the slice through (0, 0, z), row by row.
template <typename Body>
void each_pixel(const gp_head &head, double z, Body &&body) {
    const auto cosine = static_cast<float>(std::cos(head.tilt)), sine = static_cast<float>(std::sin(head.tilt));
    const auto spacing = static_cast<float>(head.pixel_spacing);
    for (uint32_t row = 0; row < head.rows; ++row) {
        const float down = (static_cast<float>(row) - static_cast<float>(head.rows - 1) / 2) * spacing;
        for (uint32_t column = 0; column < head.columns; ++column) {
            const float across = (static_cast<float>(column) - static_cast<float>(head.columns - 1) / 2) * spacing;
            body(Point{across, down * cosine, static_cast<float>(z) + down * sine});
        }
    }
}

}  // namespace

extern "C" {

int32_t gp_render_head(const gp_head *head, double z, uint32_t slice, float *out, size_t count, gi_error *error) {
    return guarded(error, [&] {
        require_valid(head);
        const uint32_t rows = head->rows, columns = head->columns;
        if (out == nullptr || count < size_t{rows} * columns) throw Failure(GI_INVALID_ARGUMENT, "too little room");
        const Head anatomy(*head);
        std::vector<float> picture;
        picture.reserve(size_t{rows} * columns);
        each_pixel(*head, z, [&](Point p) { picture.push_back(anatomy.density(p)); });
        // Noise passes through the same kernel as the picture, which gives it the scanner's grain.
        const Gaussian kernel(head->blur);
        const float deviation = static_cast<float>(head->noise) / kernel.noise_gain();
        Random random(head->seed * 0x9E3779B97F4A7C15 + slice + 1);
        for (float &value : picture) value += deviation * random.normal();
        kernel.blur(picture, rows, columns);
        const auto offset = static_cast<float>(head->offset);
        std::transform(picture.begin(), picture.end(), out, [&](float value) { return value + offset; });
    });
}

int32_t gp_render_bleed(const gp_head *head, double z, float *out, size_t count, gi_error *error) {
    return guarded(error, [&] {
        require_valid(head);
        if (out == nullptr || count < size_t{head->rows} * head->columns)
            throw Failure(GI_INVALID_ARGUMENT, "too little room");
        const Head anatomy(*head);
        each_pixel(*head, z, [&](Point p) { *out++ = anatomy.bleed_share(p); });
    });
}

int32_t gp_measure_bleed(const gp_head *head, double *volume, double *density, gi_error *error) {
    return guarded(error, [&] {
        require_valid(head);
        if (volume == nullptr || density == nullptr) throw Failure(GI_INVALID_ARGUMENT, "no place for the measure");
        *volume = *density = 0;
        if (head->bleed.kind == GP_NO_LESION) return;
        const Head anatomy(*head);
        constexpr float pitch = 2;
        double cells = 0, sum = 0;
        const auto reach = static_cast<float>(head->half_length);
        for (float z = -60; z < reach; z += pitch)
            for (float y = -reach; y < reach; y += pitch)
                for (float x = -reach; x < reach; x += pitch) {
                    const float share = anatomy.bleed_share({x, y, z});
                    cells += static_cast<double>(share);
                    if (share > 0) sum += static_cast<double>(share * anatomy.bleed_density({x, y, z}));
                }
        *volume = cells * static_cast<double>(pitch * pitch * pitch) / 1000;
        *density = cells > 0 ? sum / cells + head->offset : 0;
    });
}

}  // extern "C"
