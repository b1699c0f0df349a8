// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <iconv.h>

#include <memory>

#include "instance.hpp"

namespace gantry {

namespace {

constexpr char escape = 0x1B;

bool is_high(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }

void append_code_point(std::string &text, uint32_t point) {
    if (point < 0x80) {
        text += static_cast<char>(point);
    } else if (point < 0x800) {
        text += static_cast<char>(0xC0 | point >> 6);
        text += static_cast<char>(0x80 | (point & 0x3F));
    } else {
        text += static_cast<char>(0xE0 | point >> 12);
        text += static_cast<char>(0x80 | (point >> 6 & 0x3F));
        text += static_cast<char>(0x80 | (point & 0x3F));
    }
}

std::string from_latin1(const std::string &bytes) {
    std::string text;
    for (const char c : bytes) append_code_point(text, static_cast<unsigned char>(c));
    return text;
}

std::string without_controls(const std::string &text) {
    std::string clean;
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) clean += c;
    return clean;
}

/// Japanese with escape sequences (PS3.3 C.12.1.1.2, ISO 2022 IR 13, 87, 159), which DCMTK leaves to libraries that
/// Debian's build does not have. Half-width katakana are bytes of their own; the rest is what iconv knows.
bool from_japanese(const std::string &bytes, std::string *out) {
    const std::unique_ptr<void, int (*)(iconv_t)> converter(iconv_open("UTF-8", "ISO-2022-JP-3"), iconv_close);
    if (converter.get() == reinterpret_cast<void *>(-1)) return false;
    std::string text;
    size_t at = 0;
    while (at < bytes.size()) {
        if (is_high(bytes[at])) {
            const auto byte = static_cast<unsigned char>(bytes[at++]);
            if (byte < 0xA1 || byte > 0xDF) return false;
            append_code_point(text, 0xFF61u + byte - 0xA1u);
            continue;
        }
        size_t end = at;
        while (end < bytes.size() && !is_high(bytes[end])) ++end;
        std::string run = bytes.substr(at, end - at), converted(run.size() * 4 + 16, '\0');
        char *input = run.data(), *output = converted.data();
        size_t input_left = run.size(), output_left = converted.size();
        iconv(converter.get(), nullptr, nullptr, nullptr, nullptr);
        if (iconv(converter.get(), &input, &input_left, &output, &output_left) == static_cast<size_t>(-1)) return false;
        text.append(converted.data(), converted.size() - output_left);
        at = end;
    }
    *out = text;
    return true;
}

bool from_declared(const std::string &bytes, const std::string &character_set, std::string *out) {
    DcmSpecificCharacterSet converter;
    OFString converted;
    if (converter.selectCharacterSet(OFString(character_set.data(), character_set.size()), "ISO_IR 192").bad() ||
        converter.convertString(bytes.data(), bytes.size(), converted, "\\^=").bad())
        return false;
    out->assign(converted.data(), converted.size());
    return true;
}

}  // namespace

std::string utf8(const std::string &bytes, const std::string &character_set, bool is_affected) {
    bool is_plain = true;
    for (const char c : bytes) is_plain = is_plain && !is_high(c) && c != escape;
    if (is_plain) return without_controls(bytes);
    std::string text;
    if (is_affected) {
        const bool is_japanese = character_set.find("IR 13") != std::string::npos ||
                                 character_set.find("IR 87") != std::string::npos ||
                                 character_set.find("IR 159") != std::string::npos;
        if (is_japanese && from_japanese(bytes, &text)) return without_controls(text);
        if (from_declared(bytes, character_set, &text)) return without_controls(text);
    }
    return without_controls(from_latin1(bytes));
}

}  // namespace gantry
