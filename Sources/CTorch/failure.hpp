// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gantry_torch.h"

#include <torch/script.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

namespace gantry {

// Where a C function's caller wants the text of an error.
struct ErrorText {
    char *buffer;
    size_t capacity;

    void set(const std::string &text) const noexcept {
        if (buffer == nullptr || capacity == 0) return;
        size_t length = std::min(text.size(), capacity - 1);
        // Do not cut through a UTF-8 sequence.
        while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
        std::memcpy(buffer, text.data(), length);
        buffer[length] = 0;
    }
};

// A failure that the shim itself finds.
struct Failure {
    int32_t code;
    std::string text;
};

inline bool is_out_of_memory(const std::string &text) {
    return text.find("can't allocate memory") != std::string::npos || text.find("not enough memory") != std::string::npos;
}

inline int32_t report(const std::string &text, ErrorText error) noexcept {
    error.set(text);
    return is_out_of_memory(text) ? GANTRY_TORCH_NO_MEMORY : GANTRY_TORCH_FAILED;
}

// Runs `body`; whatever it throws becomes a code and a text.
template <typename Body>
int32_t guarded(ErrorText error, Body body) noexcept {
    try {
        body();
        return GANTRY_TORCH_OK;
    } catch (const Failure &failure) {
        error.set(failure.text);
        return failure.code;
    } catch (const c10::Error &exception) {
        return report(exception.what_without_backtrace(), error);
    } catch (const std::bad_alloc &) {
        error.set("out of memory");
        return GANTRY_TORCH_NO_MEMORY;
    } catch (const std::exception &exception) {
        return report(exception.what(), error);
    } catch (...) {
        error.set("unknown C++ exception");
        return GANTRY_TORCH_FAILED;
    }
}

}  // namespace gantry
