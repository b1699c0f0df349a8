// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <utility>

#include "frame.hpp"

namespace gantry {

namespace {

/// Cells of any width, packed from the lowest bit of the first byte (PS3.5 section 8.1.1).
void unpack_bits(
    const Image &image, const uint8_t *bytes, uint64_t first_bit, uint64_t cells, uint8_t *out, uint32_t width) {
    for (uint64_t cell = 0; cell < cells; ++cell) {
        uint32_t value = 0;
        const uint64_t begin = first_bit + cell * image.allocated;
        for (uint32_t bit = 0; bit < image.allocated; ++bit) {
            const uint64_t at = begin + bit;
            value |= uint32_t{static_cast<uint32_t>(bytes[at / 8] >> (at % 8)) & 1} << bit;
        }
        std::memcpy(out + cell * width, &value, width);
    }
}

/// Frame `index` of the cells that lie in `pixels` frame after frame.
Cells unpack(
    const gi_instance &instance, const Image &image, const Piece &pixels, uint32_t index, uint32_t frames,
    std::vector<uint8_t> &scratch) {
    const bool big = instance.syntax().big_endian_pixels;
    uint64_t cells = image.frame_samples();
    uint64_t frame_bits = cells * image.allocated;
    Cells result = {nullptr, 0, image.samples, image.planar, image.photometric,
                    image.is_float ? 0 : image.high_bit + 1 - image.stored, image.stored, false, image.is_signed};
    // 4:2:2 native data: Y Y Cb Cr for two pixels. Only the luminance is wanted.
    const bool is_subsampled = image.photometric_name == "YBR_FULL_422" && image.samples == 3 && image.allocated == 8 &&
                               pixels.count < cells * frames;
    if (is_subsampled) {
        cells = cells / 3 * 2;
        frame_bits = cells * 8;
    }
    const uint64_t end_bit = frame_bits * (uint64_t{index} + 1);
    if ((end_bit + 7) / 8 > pixels.count)
        throw Failure(
            GI_TRUNCATED, "PixelData has %zu bytes; frame %u of %u × %u × %u samples of %u bits ends at byte %llu",
            pixels.count, index, image.rows, image.columns, image.samples, image.allocated,
            static_cast<unsigned long long>((end_bit + 7) / 8));
    const uint64_t first_bit = frame_bits * index;
    const uint8_t *const source = pixels.bytes + first_bit / 8;

    if (is_subsampled) {
        scratch.resize(cells / 2);
        for (uint64_t pair = 0; pair < cells / 4; ++pair) {
            scratch[pair * 2] = source[pair * 4];
            scratch[pair * 2 + 1] = source[pair * 4 + 1];
        }
        return {scratch.data(), 1, 1, false, Photometric::monochrome2, 0, 8, false, false};
    }
    const bool is_whole = image.allocated == 16 || image.allocated == 32 || image.allocated == 64;
    if (image.allocated == 8 && big && image.pixels->vr == vr('O', 'W')) {
        // Bytes travel in words, whose halves the byte order swaps.
        scratch.resize(cells);
        for (uint64_t i = 0; i < cells; ++i) {
            const uint64_t at = (first_bit / 8 + i) ^ 1;
            scratch[i] = pixels.bytes[at < pixels.count ? at : first_bit / 8 + i];
        }
        result.bytes = scratch.data();
        result.width = 1;
    } else if (image.allocated == 8 || (!big && is_whole)) {
        result.bytes = source;
        result.width = image.allocated / 8;
    } else if (is_whole) {
        result.width = image.allocated / 8;
        scratch.resize(cells * result.width);
        for (uint64_t i = 0; i < cells; ++i)
            for (uint32_t b = 0; b < result.width; ++b)
                scratch[i * result.width + b] = source[i * result.width + (result.width - 1 - b)];
        result.bytes = scratch.data();
    } else {
        result.width = image.allocated <= 8 ? 1 : image.allocated <= 16 ? 2 : 4;
        scratch.resize(cells * result.width);
        unpack_bits(image, pixels.bytes, first_bit, cells, scratch.data(), result.width);
        result.bytes = scratch.data();
    }
    return result;
}

}  // namespace

Cells unpack_native(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    const Image &image = instance.image();
    return unpack(instance, image, {image.pixels->value, image.pixels->length}, index, image.frames, scratch);
}

Cells unpack_encapsulated(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    const Image &image = instance.image();
    std::vector<uint8_t> storage;
    const Piece frame = joined(instance.compressed_frame(index), storage);
    const uint64_t needed = (image.frame_samples() * image.allocated + 7) / 8;
    if (frame.count > needed + 1)
        throw Failure(
            GI_BAD_GEOMETRY, "the fragments of frame %u have %zu bytes, %u × %u × %u samples of %u bits need %llu", index,
            frame.count, image.rows, image.columns, image.samples, image.allocated,
            static_cast<unsigned long long>(needed));
    const Cells cells = unpack(instance, image, frame, 0, 1, scratch);
    if (storage.empty() || cells.bytes == scratch.data()) return cells;
    // The cells lie in bytes that end here.
    scratch = std::move(storage);
    return {scratch.data(), cells.width, cells.samples, cells.planar, cells.photometric, cells.shift, cells.bits,
            cells.is_extended, cells.is_signed};
}

/// Run lengths by byte planes, most significant first (PS3.5 annex G).
Cells decode_rle(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    const Image &image = instance.image();
    std::vector<uint8_t> storage;
    const Piece stream = joined(instance.compressed_frame(index), storage);
    if (image.allocated % 8 != 0)
        throw Failure(GI_BAD_GEOMETRY, "BitsAllocated (0028,0100) is %u in an RLE image", image.allocated);
    if (stream.count < 64)
        throw Failure(GI_TRUNCATED, "the RLE frame has %zu bytes, less than its header", stream.count);
    const uint32_t planes = read32(stream.bytes, false);
    // Cells of a byte, where no more is stored than fits, come in fewer segments than BitsAllocated asks for.
    const bool is_narrow = planes == image.samples && image.high_bit < 8;
    const uint32_t width = is_narrow ? 1 : image.allocated / 8;
    if (planes != image.samples * width)
        throw Failure(
            GI_DECODE_FAILED, "the RLE frame has %u segments; %u samples of %u bits need %u", planes, image.samples,
            image.allocated, image.samples * width);
    if (planes > 15) throw Failure(GI_DECODE_FAILED, "an RLE frame has at most 15 segments, not %u", planes);
    const size_t pixels = size_t{image.rows} * image.columns;
    // Two bytes become at most 128.
    if (pixels * planes / 64 > stream.count + 64)
        throw Failure(
            GI_TRUNCATED, "%zu bytes of RLE cannot hold %u × %u pixels", stream.count, image.rows, image.columns);
    const uint32_t out_width = width == 3 ? 4 : width;
    scratch.resize(pixels * image.samples * out_width);
    if (out_width != width) std::memset(scratch.data(), 0, scratch.size());
    for (uint32_t plane = 0; plane < planes; ++plane) {
        const uint32_t begin = read32(stream.bytes + 4 + plane * 4, false);
        const uint32_t next = plane + 1 < planes ? read32(stream.bytes + 8 + plane * 4, false)
                                                 : static_cast<uint32_t>(stream.count);
        if (begin < 64 || begin > stream.count || next < begin || next > stream.count)
            throw Failure(GI_DECODE_FAILED, "the offset of RLE segment %u lies outside the frame", plane);
        const uint8_t *at = stream.bytes + begin;
        const uint8_t *const end = stream.bytes + next;
        const uint32_t sample = plane / width;
        uint8_t *out = scratch.data() + size_t{sample} * pixels * out_width + (width - 1 - plane % width);
        size_t left = pixels;
        while (left > 0 && at < end) {
            const uint8_t control = *at++;
            if (control < 128) {
                size_t run = std::min<size_t>(size_t{control} + 1, static_cast<size_t>(end - at));
                run = std::min(run, left);
                for (size_t i = 0; i < run; ++i, out += out_width) *out = at[i];
                at += run;
                left -= run;
            } else if (control > 128 && at < end) {
                const size_t run = std::min<size_t>(257 - size_t{control}, left);
                const uint8_t value = *at++;
                for (size_t i = 0; i < run; ++i, out += out_width) *out = value;
                left -= run;
            }
        }
        if (left > 0)
            throw Failure(GI_TRUNCATED, "RLE segment %u ends %zu pixels before the end of the frame", plane, left);
    }
    return {scratch.data(), out_width, image.samples, true, image.photometric, image.high_bit + 1 - image.stored,
            image.stored, false, image.is_signed};
}

}  // namespace gantry
