// SPDX-License-Identifier: GPL-3.0-or-later
#include "gantry_document.h"

#include <cstdlib>
#include <vector>

/// libFuzzer target over everything that happens to an instance in a decoder: opening, header, decoding, preparing, and
/// reading it as a document.
///
/// An input that is refused is fine; what is taken must give finite model inputs.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    // Small limits: what is looked for are faults, and large frames are slow.
    const gi_limits limits = {1 << 18, 1 << 22, 1 << 10};
    gi_instance *instance = nullptr;
    gi_error error;
    if (gi_open(bytes, count, &limits, &instance, &error) != GI_OK) return 0;
    char text[256];
    for (const uint32_t tag : {0x0020000Du, 0x00080018u, 0x00080016u, 0x00100010u, 0x00080060u, 0x00020010u})
        gi_text(instance, tag, text, sizeof text);
    double number = 0;
    gi_number(instance, 0x00201208, 0, &number);
    gi_defect(instance, &error);

    gi_document *document = nullptr;
    if (gi_document_open(instance, &document, &error) == GI_OK) {
        gi_content_item item;
        for (size_t index = 0; gi_document_item(document, index, &item) == 1; ++index)
            if (item.parent >= static_cast<int32_t>(index)) std::abort();
        for (int32_t which = 0; which < GI_DOCUMENT_TEXTS; ++which)
            if (gi_document_text(document, which) == nullptr) std::abort();
    }
    gi_document_close(document);

    gi_image image;
    gi_frame *const frame = gi_frame_new();
    if (frame != nullptr && gi_describe(instance, &image, &error) == GI_OK) {
        const gi_channel channels[] = {
            {GI_CHANNEL_WINDOW, 40, 80, 0, 1}, {GI_CHANNEL_OWN_WINDOW, 0, 0, 0.5f, 2}, {GI_CHANNEL_PERCENTILES, 0, 0, 0, 1}};
        const gi_preparation preparations[] = {
            {16, 24, 1, 1, 0, 3, channels}, {8, 8, 0, 0, 0, 3, channels}, {16, 16, 1, 1, 1.5, 3, channels}};
        for (uint32_t index = 0; index < image.frames && index < 3; ++index) {
            if (gi_decode(instance, index, frame, &error) != GI_OK) continue;
            for (const gi_preparation &preparation : preparations) {
                std::vector<float> input(size_t{preparation.height} * preparation.width * preparation.channel_count);
                if (gi_prepare(frame, &preparation, input.data(), input.size(), &error) != GI_OK) continue;
                for (const float value : input)
                    if (value != value) std::abort();
            }
        }
    }
    gi_frame_free(frame);
    gi_close(instance);
    return 0;
}
