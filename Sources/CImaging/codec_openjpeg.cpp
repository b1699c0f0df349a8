// SPDX-License-Identifier: GPL-3.0-or-later
#include <openjpeg.h>

#include <algorithm>
#include <memory>

#include "frame.hpp"

namespace gantry {

namespace {

/// A codestream in memory, read or written.
struct Memory {
    const uint8_t *input = nullptr;
    std::vector<uint8_t> output;
    size_t count = 0;
    size_t position = 0;
};

OPJ_SIZE_T read_memory(void *out, OPJ_SIZE_T wanted, void *user) {
    auto &memory = *static_cast<Memory *>(user);
    const size_t count = std::min(wanted, memory.count - memory.position);
    if (count == 0) return static_cast<OPJ_SIZE_T>(-1);
    std::memcpy(out, memory.input + memory.position, count);
    memory.position += count;
    return count;
}

OPJ_OFF_T skip_input(OPJ_OFF_T distance, void *user) {
    auto &memory = *static_cast<Memory *>(user);
    if (distance < 0) return -1;
    const size_t count = std::min(static_cast<size_t>(distance), memory.count - memory.position);
    memory.position += count;
    return static_cast<OPJ_OFF_T>(count);
}

OPJ_BOOL seek_input(OPJ_OFF_T position, void *user) {
    auto &memory = *static_cast<Memory *>(user);
    if (position < 0 || static_cast<size_t>(position) > memory.count) return OPJ_FALSE;
    memory.position = static_cast<size_t>(position);
    return OPJ_TRUE;
}

OPJ_SIZE_T write_memory(void *bytes, OPJ_SIZE_T count, void *user) {
    auto &memory = *static_cast<Memory *>(user);
    try {
        if (memory.output.size() < memory.position + count) memory.output.resize(memory.position + count);
    } catch (...) {
        return static_cast<OPJ_SIZE_T>(-1);
    }
    std::memcpy(memory.output.data() + memory.position, bytes, count);
    memory.position += count;
    return count;
}

OPJ_OFF_T skip_output(OPJ_OFF_T distance, void *user) {
    auto &memory = *static_cast<Memory *>(user);
    if (distance < 0) return -1;
    memory.position += static_cast<size_t>(distance);
    return distance;
}

OPJ_BOOL seek_output(OPJ_OFF_T position, void *user) {
    if (position < 0) return OPJ_FALSE;
    static_cast<Memory *>(user)->position = static_cast<size_t>(position);
    return OPJ_TRUE;
}

void keep_message(const char *message, void *user) {
    auto &text = *static_cast<char(*)[160]>(user);
    std::snprintf(text, sizeof text, "%s", message);
    const size_t count = std::strlen(text);
    if (count > 0 && text[count - 1] == '\n') text[count - 1] = 0;
}

using Stream = std::unique_ptr<opj_stream_t, void (*)(opj_stream_t *)>;
using Codec = std::unique_ptr<opj_codec_t, void (*)(opj_codec_t *)>;
using Picture = std::unique_ptr<opj_image_t, void (*)(opj_image_t *)>;

/// Whether the stream's components were transformed from RGB (T.800 annex G).
bool is_transformed(opj_codec_t *codec) {
    opj_codestream_info_v2_t *info = opj_get_cstr_info(codec);
    const bool is = info != nullptr && info->m_default_tile_info.mct == 1;
    if (info != nullptr) opj_destroy_cstr_info(&info);
    return is;
}

}  // namespace

Cells decode_jpeg_2000(gi_instance &instance, uint32_t index, std::vector<uint8_t> &scratch) {
    const Image &image = instance.image();
    std::vector<uint8_t> storage;
    const Piece stream_bytes = joined(instance.compressed_frame(index), storage);
    const bool is_boxed = stream_bytes.count > 12 && std::memcmp(stream_bytes.bytes + 4, "jP  ", 4) == 0;

    Memory memory;
    memory.input = stream_bytes.bytes;
    memory.count = stream_bytes.count;
    Stream stream(opj_stream_create(1 << 16, OPJ_TRUE), opj_stream_destroy);
    Codec codec(opj_create_decompress(is_boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K), opj_destroy_codec);
    if (!stream || !codec) throw std::bad_alloc();
    opj_stream_set_user_data(stream.get(), &memory, nullptr);
    opj_stream_set_user_data_length(stream.get(), memory.count);
    opj_stream_set_read_function(stream.get(), read_memory);
    opj_stream_set_skip_function(stream.get(), skip_input);
    opj_stream_set_seek_function(stream.get(), seek_input);
    char message[160] = "no reason given";
    opj_set_error_handler(codec.get(), keep_message, &message);

    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec.get(), &parameters)) throw Failure(GI_INTERNAL, "OpenJPEG refused its own defaults");
    opj_image_t *raw = nullptr;
    if (!opj_read_header(stream.get(), codec.get(), &raw) || raw == nullptr)
        throw Failure(GI_DECODE_FAILED, "the JPEG 2000 header is damaged: %s", message);
    const Picture picture(raw, opj_image_destroy);
    const uint64_t width = uint64_t{raw->x1} - raw->x0, height = uint64_t{raw->y1} - raw->y0;
    if (raw->x1 <= raw->x0 || raw->y1 <= raw->y0 || width != image.columns || height != image.rows)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG 2000 frame is %llu × %llu, Rows × Columns is %u × %u",
            static_cast<unsigned long long>(height), static_cast<unsigned long long>(width), image.rows, image.columns);
    if (raw->numcomps < image.samples || raw->numcomps > 4)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG 2000 frame has %u components, SamplesPerPixel (0028,0002) is %u", raw->numcomps,
            image.samples);
    // Arithmetic coding rarely gains more than this; a stream that claims more is not worth its memory.
    if (image.frame_samples() / 20'000 > stream_bytes.count)
        throw Failure(
            GI_TRUNCATED, "%zu bytes of JPEG 2000 cannot hold %u × %u pixels", stream_bytes.count, image.rows,
            image.columns);
    if (!opj_decode(codec.get(), stream.get(), raw))
        throw Failure(GI_DECODE_FAILED, "JPEG 2000 decoding failed: %s", message);
    // What follows the last tile does not touch the pixels; a missing end marker is common and harmless.
    opj_end_decompress(codec.get(), stream.get());

    const uint32_t precision = raw->comps[0].prec;
    const bool is_stream_signed = raw->comps[0].sgnd != 0;
    bool is_subsampled = false;
    for (uint32_t sample = 0; sample < image.samples; ++sample) {
        const opj_image_comp_t &component = raw->comps[sample];
        const bool is_full = component.w == image.columns && component.h == image.rows;
        if (component.data == nullptr || component.prec > 32 || (sample == 0 && !is_full))
            throw Failure(GI_DECODE_FAILED, "component %u of the JPEG 2000 frame is missing or too small", sample);
        is_subsampled = is_subsampled || !is_full;
    }
    if (precision > image.allocated)
        throw Failure(
            GI_BAD_GEOMETRY, "the JPEG 2000 frame has %u bits, BitsAllocated (0028,0100) is %u", precision,
            image.allocated);
    // What was transformed has been turned back into RGB; the boxes around a stream name its colours.
    const bool is_luminance_first = is_subsampled || raw->color_space == OPJ_CLRSPC_SYCC ||
                                    (image.photometric == Photometric::luminance_first &&
                                     raw->color_space != OPJ_CLRSPC_SRGB && !is_transformed(codec.get()));
    const uint32_t samples = is_luminance_first ? 1 : image.samples;
    const size_t pixels = size_t{image.rows} * image.columns;
    // The cells are as wide as the stream's samples, whatever BitsAllocated says.
    const uint32_t cell = precision <= 8 ? 1 : precision <= 16 ? 2 : 4;
    scratch.resize(pixels * samples * cell);
    for (uint32_t sample = 0; sample < samples; ++sample) {
        const OPJ_INT32 *const values = raw->comps[sample].data;
        uint8_t *const out = scratch.data() + size_t{sample} * pixels * cell;
        // Of signed values the bits travel.
        if (cell == 1) {
            for (size_t i = 0; i < pixels; ++i) out[i] = static_cast<uint8_t>(values[i]);
        } else if (cell == 2) {
            for (size_t i = 0; i < pixels; ++i) reinterpret_cast<uint16_t *>(out)[i] = static_cast<uint16_t>(values[i]);
        } else {
            std::memcpy(out, values, pixels * 4);
        }
    }
    const Photometric photometric = samples == 1 && image.samples > 1 ? Photometric::monochrome2
                                    : image.samples == 1              ? image.photometric
                                                                      : Photometric::rgb;
    // A stream that says it is signed is; where only the data set says so, its samples are two's complement.
    const bool is_signed = is_stream_signed || image.is_signed;
    const uint32_t bits = is_signed ? std::min(image.stored, precision) : cell * 8;
    return {scratch.data(), cell, samples, true, photometric, 0, bits, is_stream_signed, is_signed};
}

std::vector<uint8_t> encode_jpeg_2000(const gi_pixels &pixels) {
    opj_cparameters_t parameters;
    opj_set_default_encoder_parameters(&parameters);
    parameters.tcp_numlayers = 1;
    parameters.cp_disto_alloc = 1;
    parameters.tcp_rates[0] = 0;
    parameters.irreversible = 0;
    const uint32_t least = std::min(pixels.rows, pixels.columns);
    while (parameters.numresolution > 1 && least >> (parameters.numresolution - 1) == 0) --parameters.numresolution;
    opj_image_cmptparm_t component = {};
    component.dx = component.dy = 1;
    component.w = pixels.columns;
    component.h = pixels.rows;
    component.prec = component.bpp = pixels.bits_stored;
    component.sgnd = pixels.is_signed ? 1 : 0;
    const Picture picture(opj_image_create(1, &component, OPJ_CLRSPC_GRAY), opj_image_destroy);
    if (!picture) throw std::bad_alloc();
    picture->x1 = pixels.columns;
    picture->y1 = pixels.rows;
    for (size_t i = 0; i < size_t{pixels.rows} * pixels.columns; ++i)
        picture->comps[0].data[i] =
            pixels.is_signed ? static_cast<int16_t>(pixels.values[i]) : static_cast<int32_t>(pixels.values[i]);

    Memory memory;
    Stream stream(opj_stream_create(1 << 16, OPJ_FALSE), opj_stream_destroy);
    Codec codec(opj_create_compress(OPJ_CODEC_J2K), opj_destroy_codec);
    if (!stream || !codec) throw std::bad_alloc();
    opj_stream_set_user_data(stream.get(), &memory, nullptr);
    opj_stream_set_write_function(stream.get(), write_memory);
    opj_stream_set_skip_function(stream.get(), skip_output);
    opj_stream_set_seek_function(stream.get(), seek_output);
    char message[160] = "no reason given";
    opj_set_error_handler(codec.get(), keep_message, &message);
    if (!opj_setup_encoder(codec.get(), &parameters, picture.get()) ||
        !opj_start_compress(codec.get(), picture.get(), stream.get()) || !opj_encode(codec.get(), stream.get()) ||
        !opj_end_compress(codec.get(), stream.get()))
        throw Failure(GI_WRITE_FAILED, "JPEG 2000 encoding failed: %s", message);
    return memory.output;
}

}  // namespace gantry
