// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdlib>

#include "frame.hpp"

using namespace gantry;

extern "C" {

int32_t gi_open(const void *bytes, size_t count, const gi_limits *limits, gi_instance **out, gi_error *error) {
    if (out == nullptr) return report(error, GI_INVALID_ARGUMENT, "no place for the instance");
    *out = nullptr;
    return guarded(error, [&] {
        if (limits == nullptr) throw Failure(GI_INVALID_ARGUMENT, "no limits");
        if (bytes == nullptr || count == 0) throw Failure(GI_NOT_DICOM, "the input is empty");
        start_dcmtk();
        *out = new gi_instance(static_cast<const uint8_t *>(bytes), count, *limits);
    });
}

void gi_close(gi_instance *instance) { delete instance; }

int32_t gi_defect(const gi_instance *instance, gi_error *error) {
    if (instance == nullptr) return report(error, GI_INVALID_ARGUMENT, "a null handle");
    const gi_error &defect = instance->root().defect();
    return report(error, defect.code, defect.text);
}

int64_t gi_text(const gi_instance *instance, uint32_t tag, char *buffer, size_t capacity) {
    if (instance == nullptr || (buffer == nullptr && capacity > 0)) return -1;
    try {
        if (tag == 0x00020010) {
            // What was read, also where the file has no meta header.
            const std::string &uid = instance->syntax().uid;
            std::memcpy(buffer, uid.data(), std::min(uid.size(), capacity));
            return static_cast<int64_t>(uid.size());
        }
        const Element *const element = instance->find(tag);
        if (element == nullptr) return -1;
        const bool is_affected = element->vr != vr('U', 'I') && element->vr != vr('C', 'S') &&
                                 element->vr != vr('D', 'A') && element->vr != vr('D', 'S') &&
                                 element->vr != vr('I', 'S') && element->vr != vr('T', 'M');
        const Element *const character_set = instance->find(0x00080005);
        const std::string text =
            utf8(raw_text(*element), character_set == nullptr ? "" : raw_text(*character_set), is_affected);
        std::memcpy(buffer, text.data(), std::min(text.size(), capacity));
        return static_cast<int64_t>(text.size());
    } catch (...) {
        return -1;
    }
}

int32_t gi_number(const gi_instance *instance, uint32_t tag, uint32_t index, double *value) {
    if (instance == nullptr || value == nullptr) return 0;
    const Element *const element = instance->find(tag);
    return element != nullptr && number(*element, index, value) ? 1 : 0;
}

int32_t gi_describe(gi_instance *instance, gi_image *out, gi_error *error) {
    return guarded(error, [&] {
        if (instance == nullptr || out == nullptr) throw Failure(GI_INVALID_ARGUMENT, "a null handle");
        const Image &image = instance->image();
        *out = {image.rows, image.columns, image.frames, image.samples, image.allocated, image.stored, image.high_bit,
                image.is_signed, image.photometric == Photometric::monochrome1};
    });
}

void gi_free(void *bytes) { std::free(bytes); }

}  // extern "C"
