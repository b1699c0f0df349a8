// SPDX-License-Identifier: GPL-3.0-or-later
#include "data_set.hpp"

namespace gantry {

uint16_t read16(const uint8_t *b, bool big) noexcept {
    return static_cast<uint16_t>(big ? (b[0] << 8 | b[1]) : (b[1] << 8 | b[0]));
}

uint32_t read32(const uint8_t *b, bool big) noexcept {
    return big ? uint32_t{read16(b, true)} << 16 | read16(b + 2, true)
               : uint32_t{read16(b + 2, false)} << 16 | read16(b, false);
}

uint64_t read64(const uint8_t *b, bool big) noexcept {
    return big ? uint64_t{read32(b, true)} << 32 | read32(b + 4, true)
               : uint64_t{read32(b + 4, false)} << 32 | read32(b, false);
}

namespace {

uint32_t read_tag(const uint8_t *b, bool big) noexcept {
    return uint32_t{read16(b, big)} << 16 | read16(b + 2, big);
}

bool is_vr(const uint8_t *b) noexcept { return b[0] >= 'A' && b[0] <= 'Z' && b[1] >= 'A' && b[1] <= 'Z'; }

/// VRs whose explicit form has two bytes of length (PS3.5 table 7.1-2). Later standards may only add long ones.
bool has_short_length(uint16_t v) noexcept {
    switch (v) {
        case vr('A', 'E'): case vr('A', 'S'): case vr('A', 'T'): case vr('C', 'S'): case vr('D', 'A'):
        case vr('D', 'S'): case vr('D', 'T'): case vr('F', 'L'): case vr('F', 'D'): case vr('I', 'S'):
        case vr('L', 'O'): case vr('L', 'T'): case vr('P', 'N'): case vr('S', 'H'): case vr('S', 'L'):
        case vr('S', 'S'): case vr('S', 'T'): case vr('T', 'M'): case vr('U', 'I'): case vr('U', 'L'):
        case vr('U', 'S'):
            return true;
        default:
            return false;
    }
}

class Walk {
public:
    Walk(const uint8_t *begin, const uint8_t *end, Encoding encoding, int depth)
        : at_(begin), end_(end), encoding_(encoding), depth_(depth) {}

    const uint8_t *position() const noexcept { return at_; }
    Encoding encoding() const noexcept { return encoding_; }

    /// The next element, or false at the end (of the bytes, or of an item of undefined length).
    bool next(Element *out) {
        if (left() < 8) {
            // A short rest is padding that some writers leave behind the last element.
            at_ = end_;
            return false;
        }
        const uint32_t tag = read_tag(at_, encoding_.big_endian);
        if (tag == item_end_tag) {
            at_ += 8;
            return false;
        }
        if (tag == sequence_end_tag || tag == 0) {
            // (0000,0000) is no data element: zeros are padding.
            at_ = end_;
            return false;
        }
        Element element;
        element.tag = tag;
        element.encoding = encoding_;
        const uint32_t length = read_head(&element);
        element.claimed_length = length;
        element.value = at_;
        if (element.vr == vr('U', 'N') && holds_implicit_items()) element.encoding = {false, false};
        if (length == undefined) {
            element.undefined_length = true;
            if (tag == pixel_data_tag) {
                skip_fragments(&element);
            } else {
                at_ = skip_items(at_, end_, element.encoding, depth_ + 1, &element.length);
            }
        } else if (length > left()) {
            element.length = left();
            element.is_cut = true;
            at_ = end_;
        } else {
            element.length = element.vr == vr('S', 'Q') ? length_of_items(length, tag) : length;
            at_ += element.length;
        }
        *out = element;
        return true;
    }

    /// Skips the items of a sequence of undefined length; returns the place behind its delimiter.
    static const uint8_t *skip_items(
        const uint8_t *begin, const uint8_t *end, Encoding encoding, int depth, size_t *length) {
        const uint8_t *at = begin;
        if (depth > DataSet::maximum_depth)
            throw Failure(
                GI_MALFORMED, "sequences are nested more than %d deep; nothing real is", DataSet::maximum_depth);
        while (true) {
            if (end - at < 8) throw Failure(GI_TRUNCATED, "the data set ends inside a sequence");
            const uint32_t tag = read_tag(at, encoding.big_endian);
            const uint32_t item_length = read32(at + 4, encoding.big_endian);
            if (tag == sequence_end_tag) {
                *length = static_cast<size_t>(at - begin);
                return at + 8;
            }
            if (tag != item_tag)
                throw Failure(
                    GI_MALFORMED, "(%04x,%04x) stands in a sequence where an item should begin", tag >> 16,
                    tag & 0xFFFF);
            at += 8;
            if (item_length != undefined) {
                if (item_length > static_cast<size_t>(end - at))
                    throw Failure(GI_TRUNCATED, "the data set ends inside a sequence item");
                at += item_length;
            } else {
                at = skip_item(at, end, encoding, depth);
            }
        }
    }

    /// Skips the elements of an item of undefined length; returns the place behind its delimiter.
    static const uint8_t *skip_item(const uint8_t *at, const uint8_t *end, Encoding encoding, int depth) {
        Walk walk(at, end, encoding, depth);
        Element element;
        while (walk.next(&element)) {
            if (element.is_cut) throw cut(element);
        }
        return walk.at_;
    }

    static Failure cut(const Element &element) {
        return Failure(
            GI_TRUNCATED, "element (%04x,%04x) says it has %u bytes but only %zu are left", element.tag >> 16,
            element.tag & 0xFFFF, element.claimed_length, element.length);
    }

private:
    size_t left() const noexcept { return static_cast<size_t>(end_ - at_); }

    /// Reads behind the tag: VR and length.
    uint32_t read_head(Element *element) {
        const bool big = encoding_.big_endian;
        const bool is_delimiter = element->tag >> 16 == 0xFFFE;
        const uint32_t brief = read16(at_ + 6, big);
        if (!encoding_.explicit_vr || is_delimiter || !is_vr(at_ + 4)) {
            const uint32_t length = read32(at_ + 4, big);
            // What is no VR stands before two bytes of length, as DCMTK has it. Some writers slip implicit elements into
            // an explicit data set; what follows tells the two apart.
            const bool is_brief = encoding_.explicit_vr && !is_delimiter && length != undefined &&
                                  (goes_on(at_ + 8, brief, element->tag, look_ahead) ||
                                   !goes_on(at_ + 8, length, element->tag, look_ahead));
            at_ += 8;
            return is_brief ? brief : length;
        }
        element->vr = vr(static_cast<char>(at_[4]), static_cast<char>(at_[5]));
        if (has_short_length(element->vr)) {
            at_ += 8;
            return brief;
        }
        if (left() < 12) throw Failure(GI_TRUNCATED, "the data set ends inside the head of an element");
        const uint32_t length = read32(at_ + 8, big);
        // A VR of the long form that was written in the short one claims what follows as its length.
        if (length != undefined && length > left() - 12 && brief > 0 &&
            goes_on(at_ + 8, brief, element->tag, look_ahead)) {
            at_ += 8;
            return brief;
        }
        at_ += 12;
        return length;
    }

    /// How many elements of an unusual encoding in a row are told apart by what follows them.
    static constexpr int look_ahead = 4;

    /// Whether an explicit data set can go on behind a value of `length` bytes at `value`, or ends there.
    bool goes_on(const uint8_t *value, uint32_t length, uint32_t tag, int elements) const noexcept {
        if (length > static_cast<size_t>(end_ - value)) return false;
        const uint8_t *const at = value + length;
        if (end_ - at < 8) return at == end_;
        const uint32_t next = read_tag(at, encoding_.big_endian);
        if (next == item_end_tag || next == sequence_end_tag) return true;
        if (next < tag) return false;
        if (is_vr(at + 4) || elements == 0) return true;
        return goes_on(at + 8, read16(at + 6, encoding_.big_endian), next, elements - 1) ||
               goes_on(at + 8, read32(at + 4, encoding_.big_endian), next, elements - 1);
    }

    /// Whether a value of VR UN holds items in implicit form, as PS3.5 section 6.2.2 has it; some writers keep the
    /// explicit one.
    bool holds_implicit_items() const noexcept {
        if (left() < 20 || read_tag(at_, false) != item_tag) return false;
        if (!is_vr(at_ + 12)) return true;
        const bool is_brief = has_short_length(vr(static_cast<char>(at_[12]), static_cast<char>(at_[13])));
        const uint8_t *const value = at_ + (is_brief ? 16 : 20);
        const uint32_t length = is_brief ? read16(at_ + 14, false) : read32(at_ + 16, false);
        if (length == undefined) return false;
        // Two letters may be an implicit length as well: then nothing goes on behind the explicit one.
        if (length > static_cast<size_t>(end_ - value)) return true;
        const uint8_t *const next = value + length;
        if (end_ - next < 8) return false;
        const uint32_t tag = read_tag(next, false);
        return tag >> 16 != 0xFFFE && (tag <= read_tag(at_ + 8, false) || !is_vr(next + 4));
    }

    /// The bytes of a sequence that says it has `length`: fewer where its items end before and elements go on there, which
    /// would else be lost with it.
    size_t length_of_items(size_t length, uint32_t tag) const noexcept {
        const bool big = encoding_.big_endian;
        size_t position = 0;
        while (length - position >= 8) {
            const uint8_t *const at = at_ + position;
            const uint32_t item_length = read32(at + 4, big);
            if (read_tag(at, big) != item_tag) {
                const bool is_element = encoding_.explicit_vr && position > 0 && read_tag(at, big) > tag &&
                                        read_tag(at, big) < item_tag && is_vr(at + 4);
                return is_element ? position : length;
            }
            if (item_length == undefined || item_length > length - position - 8) return length;
            position += 8 + size_t{item_length};
        }
        return length;
    }

    /// Encapsulated pixel data: fragments up to the delimiter, which a cut file lacks.
    void skip_fragments(Element *element) {
        while (true) {
            if (left() < 8) {
                element->is_cut = true;
                break;
            }
            const uint32_t tag = read_tag(at_, encoding_.big_endian);
            const uint32_t length = read32(at_ + 4, encoding_.big_endian);
            if (tag == sequence_end_tag) {
                element->length = static_cast<size_t>(at_ - element->value);
                at_ += 8;
                return;
            }
            if (tag != item_tag)
                throw Failure(
                    GI_MALFORMED, "(%04x,%04x) stands in the pixel data where a fragment should begin", tag >> 16,
                    tag & 0xFFFF);
            if (length > left() - 8) {
                element->is_cut = true;
                break;
            }
            at_ += 8 + size_t{length};
        }
        element->length = static_cast<size_t>(at_ - element->value);
        at_ = end_;
    }

    const uint8_t *at_;
    const uint8_t *end_;
    Encoding encoding_;
    int depth_;
};

}  // namespace

DataSet::DataSet(const uint8_t *begin, const uint8_t *end, Encoding encoding, int depth, bool tolerant) {
    elements_.reserve(depth == 0 ? 160 : 16);
    try {
        Walk walk(begin, end, encoding, depth);
        Element element;
        while (walk.next(&element)) {
            if (elements_.size() == maximum_elements)
                throw Failure(GI_MALFORMED, "the data set has more than %zu elements", maximum_elements);
            elements_.push_back(element);
            if (element.is_cut) throw Walk::cut(element);
        }
    } catch (const Failure &failure) {
        if (!tolerant) throw;
        defect_ = failure.error;
    }
}

const Element *DataSet::find(uint32_t tag) const noexcept {
    for (const Element &element : elements_)
        if (element.tag == tag) return &element;
    return nullptr;
}

std::vector<DataSet::Item> DataSet::items(const Element &sequence, int depth) {
    std::vector<Item> items;
    const uint8_t *at = sequence.value;
    const uint8_t *const end = sequence.value + sequence.length;
    const bool big = sequence.encoding.big_endian;
    while (end - at >= 8) {
        const uint32_t tag = read_tag(at, big);
        const uint32_t length = read32(at + 4, big);
        if (tag != item_tag) break;
        at += 8;
        const uint8_t *const begin = at;
        if (length == undefined) {
            at = Walk::skip_item(at, end, sequence.encoding, depth + 1);
            items.push_back({begin, at});
        } else {
            if (length > static_cast<size_t>(end - at)) throw Failure(GI_TRUNCATED, "a sequence item is cut short");
            at += length;
            items.push_back({begin, at});
        }
    }
    return items;
}

DataSet DataSet::open(const Element &sequence, const Item &item) {
    return DataSet(item.begin, item.end, sequence.encoding, 1, true);
}

DataSet read_meta(const uint8_t *begin, const uint8_t *end, const uint8_t **end_of_meta) {
    // The group length is not believed: writers get it wrong, and the group ends where another group begins.
    const uint8_t *at = begin;
    while (end - at >= 8 && read16(at, false) == 0x0002) {
        uint32_t length;
        size_t head = 8;
        if (!is_vr(at + 4)) {
            length = read32(at + 4, false);
        } else if (has_short_length(vr(static_cast<char>(at[4]), static_cast<char>(at[5])))) {
            length = read16(at + 6, false);
        } else {
            if (end - at < 12) throw Failure(GI_TRUNCATED, "the file ends inside its meta header");
            length = read32(at + 8, false);
            head = 12;
        }
        if (length > static_cast<size_t>(end - at) - head)
            throw Failure(GI_TRUNCATED, "the file ends inside its meta header");
        at += head + length;
    }
    *end_of_meta = at;
    return DataSet(begin, at, {true, false}, 1, true);
}

bool sniff(const uint8_t *begin, const uint8_t *end, Encoding *encoding) noexcept {
    if (end - begin < 8) return false;
    // The first group of a data set is small, so its endianness shows.
    const uint16_t little = read16(begin, false), big = read16(begin, true);
    const bool is_big = big < little;
    const uint16_t group = is_big ? big : little;
    if (group > 0x0050 || group % 2 != 0) return false;
    encoding->big_endian = is_big;
    encoding->explicit_vr = is_vr(begin + 4);
    if (!encoding->explicit_vr && is_big) return false;
    if (!encoding->explicit_vr) {
        const uint32_t length = read32(begin + 4, false);
        if (length != undefined && length > static_cast<size_t>(end - begin)) return false;
    }
    return true;
}

}  // namespace gantry
