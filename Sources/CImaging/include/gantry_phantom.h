// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_PHANTOM_H
#define GANTRY_PHANTOM_H

#include "gantry_imaging.h"

#ifdef __cplusplus
extern "C" {
#endif

// Pictures of synthetic anatomy. Coordinates are the patient's, in mm (PS3.3 C.7.6.2.1.1): x to the left, y to
// posterior, z to the head; the origin is the centre of the head or chest. Functions may be called on any thread.

enum { GP_NO_LESION = 0, GP_INTRAPARENCHYMAL = 1, GP_SUBDURAL = 2, GP_EPIDURAL = 3 };

/// A bleed. `axes` are half axes for an intraparenchymal one; otherwise axes[0] is the greatest thickness in mm and
/// axes[1] the half opening angle in radians around the direction of `center`.
typedef struct gp_bleed {
    int32_t kind;
    double center[3];
    double axes[3];
    double rotation;
    double density;
    /// How far the edge wanders, as a share of the radius.
    double irregularity;
} gp_bleed;

/// One head and the way one scanner shows it.
typedef struct gp_head {
    uint32_t rows;
    uint32_t columns;
    double pixel_spacing;
    /// Half axes of the skin.
    double half_width;
    double half_length;
    double half_height;
    double scalp;
    double skull;
    double yaw;
    double shift[2];
    double ventricles;
    /// Width of the fluid rim under the skull.
    double atrophy;
    double white;
    double grey;
    double pineal;
    double choroid;
    double falx;
    gp_bleed bleed;
    uint64_t seed;
    /// The scanner: gantry tilt in radians, blur in pixels, noise and offset in HU, brightening under the bone in HU.
    double tilt;
    double blur;
    double noise;
    double offset;
    double cupping;
} gp_head;

/// Renders the slice through (0, 0, z) as HU. `slice` sets the noise apart.
int32_t gp_render_head(const gp_head *head, double z, uint32_t slice, float *out, size_t count, gi_error *error);

/// Writes the share of bleed (0…1) of each pixel of the slice through (0, 0, z), by nothing but geometry.
int32_t gp_render_bleed(const gp_head *head, double z, float *out, size_t count, gi_error *error);

/// Measures the bleed without noise: volume in ml and mean HU.
int32_t gp_measure_bleed(const gp_head *head, double *volume, double *density, gi_error *error);

/// An opacity in a lung, or none when `strength` is 0.
typedef struct gp_opacity {
    double center[2];
    double axes[2];
    double rotation;
    /// Share of the lung's air that is replaced.
    double strength;
} gp_opacity;

/// One chest and the way one detector shows it.
typedef struct gp_chest {
    uint32_t rows;
    uint32_t columns;
    double pixel_spacing;
    double half_width;
    double lung_height;
    double lung_width;
    double heart;
    double diaphragm;
    double soft_tissue;
    double vessels;
    double rib_tilt;
    gp_opacity opacity;
    uint64_t seed;
    double blur;
    double noise;
    double contrast;
    double brightness;
    double gamma;
} gp_chest;

/// Renders a frontal view as 0…1, dense structures bright.
int32_t gp_render_chest(const gp_chest *chest, float *out, size_t count, gi_error *error);

/// Measures the opacity's volume in ml.
int32_t gp_measure_opacity(const gp_chest *chest, double *volume, gi_error *error);

#ifdef __cplusplus
}
#endif
#endif
