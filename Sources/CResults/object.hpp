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

struct gr_object {
    /// Patient and study modules, character set, and everything that was put.
    DcmFileFormat file;
    std::string study_instance_uid;
    /// Null for an image.
    std::unique_ptr<DSRDocument> document;
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

/// The finished file.
std::vector<uint8_t> write_object(gr_object &object);

}  // namespace gantry
