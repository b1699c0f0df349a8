// SPDX-License-Identifier: GPL-3.0-or-later
#include "include/gantry_document.h"

#include <algorithm>
#include <memory>

#include "failure.hpp"
#include "instance.hpp"

using namespace gantry;

namespace {

struct Code {
    std::string scheme, value, meaning;
};

struct Item {
    int32_t parent;
    std::string relationship, value_type;
    Code name, code;
    std::string person;
};

gi_code borrowed(const Code &code) { return {code.scheme.c_str(), code.value.c_str(), code.meaning.c_str()}; }

}  // namespace

struct gi_document {
    std::string texts[GI_DOCUMENT_TEXTS];
    std::vector<std::string> studies, predecessors;
    std::vector<Item> items;
};

namespace {

/// Content trees of real templates are some ten levels deep and have some thousand items.
constexpr int maximum_depth = 24;
constexpr size_t maximum_items = 20'000;
constexpr size_t maximum_references = 100;
constexpr size_t maximum_text = 256;

/// Reads a document with the data set walker and not with DCMTK's dcmsr: documents come from anywhere, and the walker
/// bounds what dcmdata's parser would follow to the end of the stack. It is also more tolerant: a report whose
/// references break a rule of its template still says what it says.
class Reader {
public:
    Reader(const DataSet &root, gi_document &out) : root_(root), out_(out) {
        const Element *const character_set = root.find(0x00080005);
        if (character_set != nullptr) character_set_ = raw_text(*character_set);
    }

    void read() {
        if (root_.find(0x0040A730) == nullptr && root_.find(0x0040A043) == nullptr)
            throw Failure(GI_MALFORMED, "the document has neither a title nor content (0040,a730)");
        const auto text = [&](int which, uint32_t tag) { out_.texts[which] = plain(root_, tag); };
        text(GI_DOCUMENT_COMPLETION, 0x0040A491);
        text(GI_DOCUMENT_VERIFICATION, 0x0040A493);
        text(GI_DOCUMENT_PRELIMINARY, 0x0040A496);
        text(GI_DOCUMENT_DATE, 0x00080023);
        text(GI_DOCUMENT_TIME, 0x00080033);
        text(GI_DOCUMENT_ZONE, 0x00080201);
        read_observers();
        for (const DataSet &study : opened(root_, 0x0040A375, maximum_references))
            out_.studies.push_back(plain(study, 0x0020000D));
        for (const DataSet &study : opened(root_, 0x0040A360, maximum_references))
            for (const DataSet &series : opened(study, 0x00081115, maximum_references))
                for (const DataSet &object : opened(series, 0x00081199, maximum_references)) {
                    if (out_.predecessors.size() == maximum_references)
                        throw Failure(GI_TOO_LARGE, "more than %zu predecessor documents", maximum_references);
                    out_.predecessors.push_back(plain(object, 0x00081155));
                }
        add(root_, -1, 0);
    }

private:
    void read_observers() {
        for (const DataSet &observer : opened(root_, 0x0040A073, maximum_references)) {
            const std::string at = plain(observer, 0x0040A030);
            // Dates of this form sort as text.
            if (out_.texts[GI_DOCUMENT_VERIFIED_AT] > at) continue;
            out_.texts[GI_DOCUMENT_VERIFIED_AT] = at;
            out_.texts[GI_DOCUMENT_VERIFIER] = words(observer, 0x0040A075);
        }
        for (const DataSet &author : opened(root_, 0x0040A078, 1))
            out_.texts[GI_DOCUMENT_AUTHOR] = words(author, 0x0040A123);
    }

    void add(const DataSet &set, int32_t parent, int depth) {
        if (out_.items.size() == maximum_items)
            throw Failure(GI_TOO_LARGE, "the document has more than %zu content items", maximum_items);
        Item item;
        item.parent = parent;
        item.relationship = plain(set, 0x0040A010);
        item.value_type = plain(set, 0x0040A040);
        item.name = code(set, 0x0040A043);
        const bool is_code = item.value_type == "CODE";
        if (is_code) item.code = code(set, 0x0040A168);
        if (item.value_type == "PNAME") item.person = words(set, 0x0040A123);
        const int32_t index = static_cast<int32_t>(out_.items.size());
        const bool has_children = parent < 0 || is_code || item.value_type == "CONTAINER";
        out_.items.push_back(std::move(item));
        const Element *const content = has_children ? set.find(0x0040A730) : nullptr;
        if (content == nullptr) return;
        if (depth == maximum_depth)
            throw Failure(GI_MALFORMED, "the content is nested more than %d deep; nothing real is", maximum_depth);
        for (const DataSet::Item &child : DataSet::items(*content, depth)) {
            const DataSet inside = DataSet::open(*content, child);
            if (inside.defect().code != GI_OK) throw Failure(inside.defect().code, "%s", inside.defect().text);
            const std::string type = plain(inside, 0x0040A040);
            if (type == "CODE" || type == "CONTAINER" || type == "PNAME") add(inside, index, depth + 1);
        }
    }

    Code code(const DataSet &set, uint32_t tag) const {
        for (const DataSet &item : opened(set, tag, 1)) {
            Code code = {plain(item, 0x00080102), plain(item, 0x00080100), words(item, 0x00080104)};
            if (code.value.empty()) code.value = plain(item, 0x00080119);
            if (code.value.empty()) code.value = plain(item, 0x00080120);
            return code;
        }
        return {};
    }

    /// Items of a sequence, `most` of them at the most.
    std::vector<DataSet> opened(const DataSet &set, uint32_t tag, size_t most) const {
        std::vector<DataSet> items;
        const Element *const sequence = set.find(tag);
        if (sequence == nullptr) return items;
        for (const DataSet::Item &item : DataSet::items(*sequence, 1)) {
            if (items.size() == most) break;
            items.push_back(DataSet::open(*sequence, item));
        }
        return items;
    }

    std::string text(const DataSet &set, uint32_t tag, bool is_affected) const {
        const Element *const element = set.find(tag);
        if (element == nullptr) return {};
        std::string text = utf8(raw_text(*element), character_set_, is_affected);
        size_t length = std::min(text.size(), maximum_text);
        // Not within a character.
        while (length > 0 && length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
        text.resize(length);
        return text;
    }

    std::string plain(const DataSet &set, uint32_t tag) const { return text(set, tag, false); }
    std::string words(const DataSet &set, uint32_t tag) const { return text(set, tag, true); }

    const DataSet &root_;
    gi_document &out_;
    std::string character_set_;
};

}  // namespace

extern "C" {

int32_t gi_document_open(const gi_instance *instance, gi_document **out, gi_error *error) {
    if (out == nullptr) return report(error, GI_INVALID_ARGUMENT, "no place for the document");
    *out = nullptr;
    return guarded(error, [&] {
        if (instance == nullptr) throw Failure(GI_INVALID_ARGUMENT, "a null handle");
        const gi_error &defect = instance->root().defect();
        if (defect.code != GI_OK) throw Failure(defect.code, "%s", defect.text);
        auto document = std::make_unique<gi_document>();
        Reader(instance->root(), *document).read();
        *out = document.release();
    });
}

void gi_document_close(gi_document *document) { delete document; }

const char *gi_document_text(const gi_document *document, int32_t which) {
    if (document == nullptr || which < 0 || which >= GI_DOCUMENT_TEXTS) return "";
    return document->texts[which].c_str();
}

const char *gi_document_study(const gi_document *document, size_t index) {
    if (document == nullptr || index >= document->studies.size()) return nullptr;
    return document->studies[index].c_str();
}

const char *gi_document_predecessor(const gi_document *document, size_t index) {
    if (document == nullptr || index >= document->predecessors.size()) return nullptr;
    return document->predecessors[index].c_str();
}

int32_t gi_document_item(const gi_document *document, size_t index, gi_content_item *out) {
    if (document == nullptr || out == nullptr || index >= document->items.size()) return 0;
    const Item &item = document->items[index];
    *out = {
        item.parent, item.relationship.c_str(), item.value_type.c_str(), borrowed(item.name), borrowed(item.code),
        item.person.c_str()};
    return 1;
}

}  // extern "C"
