// SPDX-License-Identifier: GPL-3.0-or-later
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>

// Needs size_t and FILE to be declared before.
#include <jpeglib.h>

#include "codec_jpeg.hpp"

namespace gantry {

namespace {

/// libjpeg leaves a decoder by `longjmp`: nothing between `setjmp` and there may have a destructor.
struct Leaving {
    jpeg_error_mgr errors;
    std::jmp_buf place;
};

[[noreturn]] void leave(j_common_ptr decoder) {
    std::longjmp(reinterpret_cast<Leaving *>(decoder->err)->place, 1);
}

/// A level below 0 is a warning that the stream is damaged.
void hear(j_common_ptr decoder, int level) {
    if (level < 0) leave(decoder);
}

void say_nothing(j_common_ptr) {}

void begin(j_decompress_ptr) {}

/// The whole stream is in memory: whoever asks for more has met its end too early.
boolean want_more(j_decompress_ptr decoder) { leave(reinterpret_cast<j_common_ptr>(decoder)); }

void skip(j_decompress_ptr decoder, long count) {
    jpeg_source_mgr &source = *decoder->src;
    if (count <= 0) return;
    if (static_cast<size_t>(count) > source.bytes_in_buffer) leave(reinterpret_cast<j_common_ptr>(decoder));
    source.next_input_byte += count;
    source.bytes_in_buffer -= static_cast<size_t>(count);
}

bool read_lines(jpeg_decompress_struct &decoder, const JpegHeader &header, bool is_rgb, uint8_t *out) {
    if (jpeg_read_header(&decoder, TRUE) != JPEG_HEADER_OK) return false;
    if (decoder.image_height != header.rows || decoder.image_width != header.columns ||
        static_cast<uint32_t>(decoder.num_components) != header.components)
        return false;
    if (header.components > 1) decoder.jpeg_color_space = is_rgb ? JCS_RGB : JCS_YCbCr;
    decoder.out_color_space = is_rgb ? JCS_RGB : JCS_GRAYSCALE;
    const size_t samples = is_rgb ? header.components : 1;
    decoder.dct_method = JDCT_ISLOW;
    if (!jpeg_start_decompress(&decoder)) return false;
    while (decoder.output_scanline < header.rows) {
        JSAMPROW line = out + size_t{decoder.output_scanline} * header.columns * samples;
        if (jpeg_read_scanlines(&decoder, &line, 1) != 1) return false;
    }
    return true;
}

}  // namespace

bool decode_jpeg_dct(const Piece &stream, const JpegHeader &header, bool is_rgb, uint8_t *out) {
    Leaving leaving;
    jpeg_decompress_struct decoder;
    jpeg_source_mgr source = {};
    decoder.err = jpeg_std_error(&leaving.errors);
    leaving.errors.error_exit = leave;
    leaving.errors.emit_message = hear;
    leaving.errors.output_message = say_nothing;
    // So that destroying it is sound when making it fails.
    decoder.mem = nullptr;
    if (setjmp(leaving.place) != 0) {
        jpeg_destroy_decompress(&decoder);
        return false;
    }
    jpeg_create_decompress(&decoder);
    source.next_input_byte = stream.bytes;
    source.bytes_in_buffer = stream.count;
    source.init_source = begin;
    source.fill_input_buffer = want_more;
    source.skip_input_data = skip;
    source.resync_to_restart = jpeg_resync_to_restart;
    source.term_source = begin;
    decoder.src = &source;
    const bool is_done = read_lines(decoder, header, is_rgb, out);
    jpeg_destroy_decompress(&decoder);
    return is_done;
}

}  // namespace gantry
