// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "include/gantry_imaging.h"

namespace gantry {

/// What is wrong with an input, thrown inside this library and caught at its C interface.
struct Failure final : std::exception {
    gi_error error;

    __attribute__((format(printf, 3, 4))) Failure(int32_t code, const char *format, ...) {
        error.code = code;
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(error.text, sizeof error.text, format, arguments);
        va_end(arguments);
    }

    const char *what() const noexcept override { return error.text; }
};

inline int32_t report(gi_error *out, int32_t code, const char *text) noexcept {
    if (out != nullptr) {
        out->code = code;
        std::snprintf(out->text, sizeof out->text, "%s", text);
    }
    return code;
}

/// Runs a body whose failures become codes: the only way into this library from C.
template <typename Body>
int32_t guarded(gi_error *out, Body &&body) noexcept {
    try {
        body();
        return report(out, GI_OK, "");
    } catch (const Failure &failure) {
        return report(out, failure.error.code, failure.error.text);
    } catch (const std::bad_alloc &) {
        return report(out, GI_NO_MEMORY, "not enough memory for this instance");
    } catch (const std::exception &exception) {
        return report(out, GI_INTERNAL, exception.what());
    } catch (...) {
        return report(out, GI_INTERNAL, "unknown exception in an imaging library");
    }
}

}  // namespace gantry
