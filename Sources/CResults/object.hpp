// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmsr/dsrdoc.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "include/gantry_results.h"

namespace gantry {

struct Segmentation;

struct SegmentationDeleter {
    void operator()(Segmentation *segmentation) const noexcept;
};

}  // namespace gantry

struct gr_object {
    /// Patient and study modules, character set, and everything that was put.
    DcmFileFormat file;
    std::string study_instance_uid;
    /// Null for an image.
    std::unique_ptr<DSRDocument> document;
    /// Null for all but a segmentation.
    std::unique_ptr<gantry::Segmentation, gantry::SegmentationDeleter> segmentation;
    /// Values set by `gr_put`, applied last.
    std::vector<std::pair<std::string, std::string>> attributes;
    uint32_t rows = 0;
    uint32_t columns = 0;
    std::vector<uint8_t> rgb;
};

namespace gantry {

/// What is wrong, thrown inside this library and caught at its C interface.
struct ResultFailure final : std::exception {
    int32_t code;
    std::string text;

    ResultFailure(int32_t code, std::string text) : code(code), text(std::move(text)) {}
    const char *what() const noexcept override { return text.c_str(); }
};

inline void check(const OFCondition &condition, const char *what, int32_t code = GR_WRITE_FAILED) {
    if (condition.bad()) throw ResultFailure(code, std::string(what) + ": " + condition.text());
}

/// Takes over what every object of the study has to share with the original instance.
void copy_study(const void *original, size_t count, gr_object &object);

/// Makes the object a segmentation on the grid of a frame of an image.
void begin_segmentation(
    gr_object &object, const void *original, size_t count, uint32_t frame, const char *dimension_uid);
/// The number of the new segment.
uint16_t add_segment(
    gr_object &object, const char *label, const gr_code &category, const gr_code &type, const char *algorithm,
    const char *tracking_id, const char *tracking_uid);
void add_segment_frame(
    gr_object &object, uint16_t segment, const void *original, size_t count, uint32_t frame, const uint8_t *mask,
    uint32_t rows, uint32_t columns);
void write_segmentation(gr_object &object, DcmDataset &target);

/// Moves the elements that `target` does not have: the original's patient, study and character set stay.
void move_elements(DcmDataset &from, DcmDataset &target);

/// The finished file.
std::vector<uint8_t> write_object(gr_object &object);

}  // namespace gantry
