// SPDX-License-Identifier: GPL-3.0-or-later
#include "instance.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>

using namespace gantry;

namespace {

/// Transfer syntaxes of PS3.6 annex A that are read here, and GE's private one, which big-endian pixel words set apart.
TransferSyntax syntax_named(const std::string &uid) {
    TransferSyntax syntax;
    syntax.uid = uid;
    const std::string standard = "1.2.840.10008.1.2";
    if (uid == standard) {
        syntax.encoding.explicit_vr = false;
    } else if (uid == standard + ".1") {
    } else if (uid == standard + ".1.98") {
        syntax.coding = Coding::encapsulated;
    } else if (uid == standard + ".1.99") {
        syntax.deflated = true;
    } else if (uid == standard + ".2") {
        syntax.encoding.big_endian = true;
        syntax.big_endian_pixels = true;
    } else if (uid == "1.2.840.113619.5.2") {
        syntax.encoding.explicit_vr = false;
        syntax.big_endian_pixels = true;
    } else if (uid == standard + ".5") {
        syntax.coding = Coding::rle;
    } else if (uid == standard + ".4.80" || uid == standard + ".4.81") {
        syntax.coding = Coding::jpeg_ls;
    } else if (
        uid == standard + ".4.90" || uid == standard + ".4.91" || uid == standard + ".4.201" ||
        uid == standard + ".4.202" || uid == standard + ".4.203") {
        syntax.coding = Coding::jpeg_2000;
    } else if (uid == standard + ".4.110" || uid == standard + ".4.111" || uid == standard + ".4.112") {
        syntax.coding = Coding::jpeg_xl;
    } else if (
        uid == standard + ".4.50" || uid == standard + ".4.51" || uid == standard + ".4.53" ||
        uid == standard + ".4.55" || uid == standard + ".4.57" || uid == standard + ".4.70") {
        syntax.coding = Coding::jpeg;
    } else {
        syntax.coding = Coding::unsupported;
    }
    return syntax;
}

}  // namespace

gi_instance::gi_instance(const uint8_t *bytes, size_t count, const gi_limits &limits) : limits_(limits) {
    const uint8_t *at = bytes;
    const uint8_t *const end = bytes + count;
    if (count >= 132 && std::memcmp(bytes + 128, "DICM", 4) == 0) {
        at = bytes + 132;
    } else if (count >= 4 && std::memcmp(bytes, "DICM", 4) == 0) {
        at = bytes + 4;
    }
    const bool has_magic = at != bytes;
    const bool has_meta = end - at >= 8 && read16(at, false) == 0x0002;
    if (has_meta) meta_ = read_meta(at, end, &at);
    if (has_magic && at == end) throw Failure(GI_TRUNCATED, "the file ends behind its meta header");
    read_syntax(meta_);

    if (syntax_.deflated) {
        inflate(at, end);
        at = inflated_.data();
        root_ = DataSet(at, at + inflated_.size(), syntax_.encoding, 0, true);
    } else {
        // What the first element looks like counts more than what the meta header claims.
        Encoding seen;
        const bool looks_right = sniff(at, end, &seen);
        if (!looks_right && !has_magic && !has_meta)
            throw Failure(GI_NOT_DICOM, "there is neither a DICM prefix nor a data set at the beginning");
        if (looks_right) {
            if (syntax_.uid.empty()) {
                syntax_ = syntax_named(
                    !seen.explicit_vr ? "1.2.840.10008.1.2"
                    : seen.big_endian ? "1.2.840.10008.1.2.2"
                                      : "1.2.840.10008.1.2.1");
            }
            syntax_.encoding = seen;
        }
        root_ = DataSet(at, end, syntax_.encoding, 0, true);
    }
    if (root_.empty() && root_.defect().code != GI_OK) throw Failure(root_.defect().code, "%s", root_.defect().text);
    if (root_.empty() || (!has_magic && !has_meta && root_.find(0x00080016) == nullptr &&
                          root_.find(0x0020000D) == nullptr && root_.find(0x00280010) == nullptr))
        throw Failure(GI_NOT_DICOM, "no element of a DICOM data set was found");

    const Element *shared = root_.find(0x52009229), *per_frame = root_.find(0x52009230);
    try {
        if (shared != nullptr) shared_ = DataSet::items(*shared, 1);
        if (per_frame != nullptr) per_frame_ = DataSet::items(*per_frame, 1);
    } catch (const Failure &) {
        // The defect of the data set, found by the walk, already tells it.
    }
}

void gi_instance::read_syntax(const DataSet &meta) {
    const Element *element = meta.find(0x00020010);
    if (element != nullptr && element->length > 0) syntax_ = syntax_named(raw_text(*element));
}

void gi_instance::inflate(const uint8_t *begin, const uint8_t *end) {
    z_stream stream = {};
    // A raw deflate stream (PS3.5 annex A.5).
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    const std::unique_ptr<z_stream, void (*)(z_stream *)> closing(&stream, [](z_stream *s) { inflateEnd(s); });
    std::vector<uint8_t> piece(1 << 18);
    int state = Z_OK;
    const uint8_t *at = begin;
    while (state != Z_STREAM_END) {
        if (stream.avail_in == 0) {
            if (at == end) break;
            const size_t count = std::min<size_t>(static_cast<size_t>(end - at), 1 << 30);
            stream.next_in = const_cast<uint8_t *>(at);
            stream.avail_in = static_cast<uInt>(count);
            at += count;
        }
        stream.next_out = piece.data();
        stream.avail_out = static_cast<uInt>(piece.size());
        state = ::inflate(&stream, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
            throw Failure(GI_DECODE_FAILED, "the deflated data set is damaged after %zu bytes", inflated_.size());
        const size_t count = piece.size() - stream.avail_out;
        if (inflated_.size() + count > limits_.inflated_bytes)
            throw Failure(
                GI_TOO_LARGE, "the deflated data set grows beyond %llu bytes",
                static_cast<unsigned long long>(limits_.inflated_bytes));
        inflated_.insert(inflated_.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(count));
        if (count == 0 && stream.avail_in == 0 && at == end) break;
    }
    // A stream that breaks off shows as a data set that breaks off.
}

const Element *gi_instance::find(uint32_t tag) const noexcept {
    return tag >> 16 == 2 ? meta_.find(tag) : root_.find(tag);
}

bool gi_instance::in_functional_groups(
    uint32_t frame, uint32_t macro, uint32_t tag, DataSet *holder, const Element **out) const {
    const DataSet::Item *groups[] = {
        frame < per_frame_.size() ? &per_frame_[frame] : nullptr, shared_.empty() ? nullptr : &shared_[0]};
    const Element *sources[] = {root_.find(0x52009230), root_.find(0x52009229)};
    for (int i = 0; i < 2; ++i) {
        if (groups[i] == nullptr || sources[i] == nullptr) continue;
        const DataSet group = DataSet::open(*sources[i], *groups[i]);
        const Element *sequence = group.find(macro);
        if (sequence == nullptr) continue;
        const auto items = DataSet::items(*sequence, 2);
        if (items.empty()) continue;
        *holder = DataSet::open(*sequence, items[0]);
        *out = holder->find(tag);
        if (*out != nullptr) return true;
    }
    return false;
}

bool gi_instance::frame_number(uint32_t frame, uint32_t macro, uint32_t tag, uint32_t index, double *value) const {
    DataSet holder;
    const Element *element = nullptr;
    if (macro != 0 && in_functional_groups(frame, macro, tag, &holder, &element))
        return number(*element, index, value);
    element = root_.find(tag);
    return element != nullptr && number(*element, index, value);
}

std::string gi_instance::frame_text(uint32_t frame, uint32_t macro, uint32_t tag) const {
    DataSet holder;
    const Element *element = nullptr;
    if (macro != 0 && in_functional_groups(frame, macro, tag, &holder, &element)) return raw_text(*element);
    element = root_.find(tag);
    return element == nullptr ? std::string() : raw_text(*element);
}

bool gi_instance::first_item(uint32_t frame, uint32_t macro, uint32_t tag, DataSet *out) const {
    DataSet holder;
    const Element *sequence = nullptr;
    if (!in_functional_groups(frame, macro, tag, &holder, &sequence)) sequence = root_.find(tag);
    if (sequence == nullptr) return false;
    const auto items = DataSet::items(*sequence, 3);
    if (items.empty()) return false;
    *out = DataSet::open(*sequence, items[0]);
    return true;
}

namespace {

void require_frames_within(const gi_limits &limits, uint32_t frames) {
    if (frames > limits.frames)
        throw Failure(
            GI_TOO_LARGE, "NumberOfFrames (0028,0008) is %u, more than the limit of %llu", frames,
            static_cast<unsigned long long>(limits.frames));
}

Photometric photometric_named(const std::string &name, uint32_t samples) {
    if (name == "MONOCHROME1") return Photometric::monochrome1;
    if (name == "MONOCHROME2") return Photometric::monochrome2;
    if (name == "PALETTE COLOR") return Photometric::palette;
    if (name == "RGB" || name == "YBR_RCT" || name == "YBR_ICT") return Photometric::rgb;
    if (name == "YBR_FULL" || name == "YBR_FULL_422" || name == "YBR_PARTIAL_422" || name == "YBR_PARTIAL_420")
        return Photometric::luminance_first;
    // Absent or empty in some old files; one sample is grey.
    if (name.empty() && samples == 1) return Photometric::monochrome2;
    throw Failure(
        GI_UNSUPPORTED_PHOTOMETRIC, "PhotometricInterpretation (0028,0004) is “%.20s”, which is not read",
        name.c_str());
}

}  // namespace

const Image &gi_instance::image() {
    if (has_image_) return image_;
    Image image;
    const Element *const rows = root_.find(0x00280010);
    image.pixels = root_.find(pixel_data_tag);
    if (image.pixels == nullptr) {
        image.pixels = root_.find(float_pixel_data_tag);
        if (image.pixels == nullptr) image.pixels = root_.find(double_pixel_data_tag);
        image.is_float = image.pixels != nullptr;
    }
    // A defect behind the pixels does not matter to them; before them it hides them.
    if (image.pixels == nullptr && root_.defect().code != GI_OK)
        throw Failure(root_.defect().code, "%s", root_.defect().text);
    if (image.pixels == nullptr) {
        if (rows == nullptr)
            throw Failure(GI_NOT_AN_IMAGE, "the object has neither Rows (0028,0010) nor PixelData (7fe0,0010)");
        throw Failure(GI_NO_PIXEL_DATA, "PixelData (7fe0,0010) is missing");
    }
    if (image.pixels->length == 0 && !image.pixels->is_cut)
        throw Failure(GI_NO_PIXEL_DATA, "PixelData (7fe0,0010) is empty");
    if (image.pixels->is_cut)
        throw Failure(
            GI_TRUNCATED, "the file ends inside PixelData (7fe0,0010) after %zu bytes of it", image.pixels->length);
    if (syntax_.coding == Coding::unsupported)
        throw Failure(
            GI_UNSUPPORTED_TRANSFER_SYNTAX, "TransferSyntaxUID (0002,0010) %.64s is not read", syntax_.uid.c_str());

    uint32_t value = 0;
    if (!natural(rows, &image.rows) || image.rows == 0)
        throw Failure(GI_BAD_GEOMETRY, "Rows (0028,0010) is missing or 0");
    if (!natural(root_.find(0x00280011), &image.columns) || image.columns == 0)
        throw Failure(GI_BAD_GEOMETRY, "Columns (0028,0011) is missing or 0");
    if (image.rows > 65535 || image.columns > 65535)
        throw Failure(GI_BAD_GEOMETRY, "Rows × Columns is %u × %u; DICOM ends at 65535", image.rows, image.columns);
    if (natural(root_.find(0x00280002), &value)) image.samples = value;
    if (image.samples != 1 && image.samples != 3 && image.samples != 4)
        throw Failure(GI_BAD_GEOMETRY, "SamplesPerPixel (0028,0002) is %u", image.samples);
    const bool is_counted = natural(root_.find(0x00280008), &value) && value > 0;
    if (is_counted) image.frames = value;
    if (natural(root_.find(0x00280006), &value)) image.planar = value == 1;

    if (image.is_float) {
        image.allocated = root_.find(float_pixel_data_tag) != nullptr ? 32 : 64;
        image.stored = image.allocated;
    } else {
        if (!natural(root_.find(0x00280100), &image.allocated) || image.allocated == 0 || image.allocated > 32)
            throw Failure(GI_BAD_GEOMETRY, "BitsAllocated (0028,0100) is %u; 1 to 32 are read", image.allocated);
        image.stored = image.allocated;
        if (natural(root_.find(0x00280101), &value) && value > 0) image.stored = value;
        if (image.stored > image.allocated)
            throw Failure(
                GI_BAD_GEOMETRY, "BitsStored (0028,0101) is %u, more than BitsAllocated (0028,0100) %u", image.stored,
                image.allocated);
        image.high_bit = image.stored - 1;
        if (natural(root_.find(0x00280102), &value)) image.high_bit = value;
        if (image.high_bit >= image.allocated || image.high_bit + 1 < image.stored)
            throw Failure(
                GI_BAD_GEOMETRY, "HighBit (0028,0102) is %u with BitsStored %u and BitsAllocated %u", image.high_bit,
                image.stored, image.allocated);
        if (natural(root_.find(0x00280103), &value)) image.is_signed = value == 1;
    }
    image.photometric_name = root_.find(0x00280004) ? raw_text(*root_.find(0x00280004)) : "";
    image.photometric = photometric_named(image.photometric_name, image.samples);
    const bool is_color =
        image.photometric == Photometric::rgb || image.photometric == Photometric::luminance_first;
    if (image.samples == 1 && is_color)
        throw Failure(
            GI_BAD_GEOMETRY, "PhotometricInterpretation %.20s needs three samples, SamplesPerPixel (0028,0002) is 1",
            image.photometric_name.c_str());
    if (image.frame_samples() > limits_.frame_samples)
        throw Failure(
            GI_TOO_LARGE, "a frame of %u × %u × %u samples is more than the limit of %llu", image.rows, image.columns,
            image.samples, static_cast<unsigned long long>(limits_.frame_samples));
    require_frames_within(limits_, image.frames);
    image_ = image;
    if (syntax_.coding != Coding::native) {
        if (!image.pixels->undefined_length)
            throw Failure(
                GI_DECODE_FAILED, "PixelData (7fe0,0010) is not encapsulated although the transfer syntax is %.64s",
                syntax_.uid.c_str());
        index_fragments(is_counted);
        require_frames_within(limits_, image_.frames);
    } else if (image.pixels->undefined_length) {
        throw Failure(
            GI_DECODE_FAILED, "PixelData (7fe0,0010) is encapsulated although the transfer syntax is %.64s",
            syntax_.uid.c_str());
    } else if (image.allocated % 8 == 0) {
        // Bytes for whole further frames are frames that nobody would look at, or cells of another size than the data set
        // says; less than a frame is padding.
        const uint64_t frame_bytes = image.frame_samples() * (image.allocated / 8);
        const uint64_t needed = frame_bytes * image.frames;
        if (image.pixels->length > needed + 1 && image.pixels->length - needed >= frame_bytes)
            throw Failure(
                GI_BAD_GEOMETRY, "PixelData (7fe0,0010) has %zu bytes; NumberOfFrames (0028,0008) %u needs %llu",
                image.pixels->length, image.frames, static_cast<unsigned long long>(needed));
    }
    has_image_ = true;
    return image_;
}

namespace {

/// Whether a fragment begins a stream: JPEG and JPEG-LS, JPEG 2000, or JPEG 2000 and JPEG XL in boxes. A bare JPEG XL stream
/// begins with two bytes that may stand anywhere.
bool begins_stream(const Piece &piece) noexcept {
    constexpr uint8_t box[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '}, xl_box[] = {0, 0, 0, 12, 'J', 'X', 'L', ' '};
    for (const uint8_t *const beginning : {box, xl_box})
        if (piece.count >= sizeof box && std::memcmp(piece.bytes, beginning, sizeof box) == 0) return true;
    return piece.count >= 3 && piece.bytes[0] == 0xFF && (piece.bytes[1] == 0xD8 || piece.bytes[1] == 0x4F) &&
           piece.bytes[2] == 0xFF;
}

/// The fragments that an offset table names (PS3.5 annex A.4), `width` bytes for each offset; none where it is wrong.
std::vector<size_t> fragments_at(const Piece &table, size_t width, const std::vector<Piece> &fragments) {
    // An offset counts from the first byte behind the offset table.
    const uint8_t *const origin = fragments[0].bytes - 8;
    std::vector<size_t> firsts;
    size_t fragment = 0;
    for (size_t at = 0; at + width <= table.count; at += width) {
        const uint64_t offset = width == 8 ? read64(table.bytes + at, false) : read32(table.bytes + at, false);
        const auto place = [&] { return static_cast<uint64_t>(fragments[fragment].bytes - 8 - origin); };
        while (fragment < fragments.size() && place() < offset) ++fragment;
        const bool is_repeated = !firsts.empty() && fragment == firsts.back();
        if (fragment == fragments.size() || place() != offset || is_repeated) return {};
        firsts.push_back(fragment);
    }
    if (!firsts.empty() && firsts[0] != 0) return {};
    return firsts;
}

}  // namespace

void gi_instance::index_fragments(bool is_counted) {
    const Element &pixels = *image_.pixels;
    std::vector<Piece> table_and_fragments;
    first_fragment_.clear();
    for (const DataSet::Item &item : DataSet::items(pixels, 1))
        table_and_fragments.push_back({item.begin, static_cast<size_t>(item.end - item.begin)});
    // Some writers end with an empty fragment.
    while (table_and_fragments.size() > 2 && table_and_fragments.back().count == 0) table_and_fragments.pop_back();
    if (table_and_fragments.size() < 2) throw Failure(GI_NO_PIXEL_DATA, "PixelData (7fe0,0010) has no fragments");
    const Piece table = table_and_fragments[0];
    fragments_.assign(table_and_fragments.begin() + 1, table_and_fragments.end());
    if (is_counted && image_.frames > fragments_.size())
        throw Failure(
            GI_BAD_GEOMETRY, "NumberOfFrames (0028,0008) is %u but PixelData has %zu fragments", image_.frames,
            fragments_.size());

    // What the stream says: the extended offset table, the basic one (which has one entry in files of many frames too), and
    // where JPEG and JPEG 2000 streams begin.
    std::vector<std::vector<size_t>> answers;
    const Element *const extended = root_.find(0x7FE00001);
    if (extended != nullptr && !extended->undefined_length)
        answers.push_back(fragments_at({extended->value, extended->length}, 8, fragments_));
    answers.push_back(fragments_at(table, 4, fragments_));
    answers.emplace_back();
    for (size_t i = 0; i < fragments_.size(); ++i)
        if (begins_stream(fragments_[i])) answers.back().push_back(i);
    if (!answers.back().empty() && answers.back()[0] != 0) answers.back().clear();

    size_t frames = is_counted ? image_.frames : 1;
    for (const std::vector<size_t> &answer : answers) {
        if (is_counted ? answer.size() != frames : answer.size() < 2) continue;
        first_fragment_ = answer;
        frames = answer.size();
        break;
    }
    if (first_fragment_.empty()) {
        for (const std::vector<size_t> &answer : answers)
            if (answer.size() > 1 && fragments_.size() != frames)
                throw Failure(
                    GI_BAD_GEOMETRY, "NumberOfFrames (0028,0008) is %zu but PixelData holds %zu frames", frames,
                    answer.size());
        // One frame may lie in any number of fragments, but for RLE (PS3.5 section A.4.2).
        const bool is_one = frames == 1 && (is_counted || syntax_.coding != Coding::rle);
        if (!is_one && fragments_.size() != frames)
            throw Failure(
                GI_DECODE_FAILED,
                "%zu fragments of PixelData cannot be told apart as %zu frames: the offset table is missing",
                fragments_.size(), frames);
        for (size_t i = 0; i < frames; ++i) first_fragment_.push_back(i);
    }
    image_.frames = static_cast<uint32_t>(frames);
    first_fragment_.push_back(fragments_.size());
}

std::vector<Piece> gi_instance::compressed_frame(uint32_t index) {
    const auto begin = fragments_.begin();
    return {begin + static_cast<ptrdiff_t>(first_fragment_[index]),
            begin + static_cast<ptrdiff_t>(first_fragment_[index + 1])};
}
