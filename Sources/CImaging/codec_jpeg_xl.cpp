// SPDX-License-Identifier: GPL-3.0-or-later
#include <jxl/decode.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "codec_jpeg.hpp"

namespace gantry {

namespace {

using Decoder = std::unique_ptr<JxlDecoder, void (*)(JxlDecoder *)>;

void require(JxlDecoderStatus status) {
    if (status != JXL_DEC_SUCCESS) throw Failure(GI_DECODE_FAILED, "the JPEG XL frame cannot be decoded");
}

/// Compares what the stream says with the data set, before anything is allocated for it.
void require_fit(const JxlBasicInfo &info, const Image &image) {
    if (info.xsize != image.columns || info.ysize != image.rows)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG XL frame is %u × %u, Rows × Columns is %u × %u", info.ysize, info.xsize, image.rows,
            image.columns);
    if (info.num_color_channels != image.samples)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG XL frame has %u components, SamplesPerPixel (0028,0002) is %u",
            info.num_color_channels, image.samples);
    // Single precision holds no more whole numbers.
    if (info.exponent_bits_per_sample != 0 || info.bits_per_sample == 0 || info.bits_per_sample > 16 ||
        info.bits_per_sample > image.allocated)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG XL frame has %u bits, BitsAllocated (0028,0100) is %u; 1 to 16 whole ones are read",
            info.bits_per_sample, image.allocated);
}

/// Samples of 0…1 as whole numbers of `bits`.
template <typename Cell>
void take_samples(const std::vector<float> &samples, uint32_t bits, Cell *out) {
    const auto largest = static_cast<float>((uint32_t{1} << bits) - 1);
    for (size_t i = 0; i < samples.size(); ++i)
        out[i] = static_cast<Cell>(std::lround(std::clamp(samples[i], 0.f, 1.f) * largest));
}

/// What a stream holds: samples, or the JPEG stream that it was made of.
struct Content {
    JxlBasicInfo info = {};
    std::vector<float> samples;
    std::vector<uint8_t> jpeg;
    size_t jpeg_bytes = 0;
};

/// A JPEG stream grows beyond its room: more of it, which the frame's size bounds.
void make_room(JxlDecoder *decoder, const Image &image, Content &content) {
    const size_t left = content.jpeg.empty() ? 0 : JxlDecoderReleaseJPEGBuffer(decoder);
    content.jpeg_bytes = content.jpeg.size() - left;
    if (content.jpeg.size() > image.frame_samples() * 4 + (1 << 20))
        throw Failure(GI_TOO_LARGE, "the JPEG stream inside the JPEG XL frame is larger than its pixels");
    content.jpeg.resize(std::max<size_t>(content.jpeg.size() * 2, 1 << 16));
    require(JxlDecoderSetJPEGBuffer(
        decoder, content.jpeg.data() + content.jpeg_bytes, content.jpeg.size() - content.jpeg_bytes));
}

Content decoded(const Piece &stream, const Image &image) {
    const Decoder decoder(JxlDecoderCreate(nullptr), JxlDecoderDestroy);
    if (!decoder) throw std::bad_alloc();
    require(JxlDecoderSubscribeEvents(
        decoder.get(), JXL_DEC_BASIC_INFO | JXL_DEC_JPEG_RECONSTRUCTION | JXL_DEC_FULL_IMAGE));
    require(JxlDecoderSetInput(decoder.get(), stream.bytes, stream.count));
    JxlDecoderCloseInput(decoder.get());
    Content content;
    while (true) {
        switch (JxlDecoderProcessInput(decoder.get())) {
            case JXL_DEC_BASIC_INFO:
                require(JxlDecoderGetBasicInfo(decoder.get(), &content.info));
                require_fit(content.info, image);
                break;
            case JXL_DEC_JPEG_RECONSTRUCTION:
            case JXL_DEC_JPEG_NEED_MORE_OUTPUT: make_room(decoder.get(), image, content); break;
            case JXL_DEC_NEED_IMAGE_OUT_BUFFER: {
                const JxlPixelFormat format = {image.samples, JXL_TYPE_FLOAT, JXL_NATIVE_ENDIAN, 0};
                content.samples.resize(image.frame_samples());
                require(JxlDecoderSetImageOutBuffer(
                    decoder.get(), &format, content.samples.data(), content.samples.size() * sizeof(float)));
                break;
            }
            case JXL_DEC_FULL_IMAGE:
                if (!content.jpeg.empty())
                    content.jpeg_bytes = content.jpeg.size() - JxlDecoderReleaseJPEGBuffer(decoder.get());
                return content;
            case JXL_DEC_NEED_MORE_INPUT:
                throw Failure(GI_TRUNCATED, "the JPEG XL frame ends after %zu bytes", stream.count);
            default: throw Failure(GI_DECODE_FAILED, "the JPEG XL frame is damaged");
        }
    }
}

}  // namespace

Cells decode_jpeg_xl(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    const Image &image = instance.image();
    std::vector<uint8_t> storage;
    const Piece stream = joined(instance.compressed_frame(index), storage);
    const Content content = decoded(stream, image);
    if (content.jpeg_bytes > 0)
        return decode_jpeg_stream(instance, image, {content.jpeg.data(), content.jpeg_bytes}, scratch);
    const uint32_t precision = content.info.bits_per_sample, width = precision > 8 ? 2 : 1;
    scratch.resize(content.samples.size() * width);
    if (width == 1)
        take_samples(content.samples, precision, scratch.data());
    else
        take_samples(content.samples, precision, reinterpret_cast<uint16_t *>(scratch.data()));
    const bool is_signed = image.is_signed && image.samples == 1;
    return {scratch.data(), width, image.samples, false, image.samples == 1 ? image.photometric : Photometric::rgb, 0,
            is_signed ? std::min(image.stored, precision) : width * 8, false, is_signed};
}

}  // namespace gantry
