// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdict.h>
#include <iconv.h>

#include "frame.hpp"

namespace {

/// The names by which DCMTK (dcspchrs.cc) and text.cpp ask iconv for the character sets of PS3.3 C.12.1.1.2.
constexpr const char *character_sets[] = {
    "ASCII", "ISO-8859-1", "ISO-8859-2", "ISO-8859-3", "ISO-8859-4", "ISO-8859-5", "ISO-8859-6", "ISO-8859-7",
    "ISO-8859-8", "ISO-8859-9", "ISO-8859-15", "TIS-620", "JIS_X0201", "ISO-IR-87", "ISO-IR-159", "ISO-IR-149",
    "ISO-IR-58", "ISO-IR-166", "ISO-2022-JP-3", "GB2312", "GB18030", "GBK", "UTF-8",
};

}  // namespace

extern "C" void gi_read_tables(void) {
    try {
        gantry::start_dcmtk();
        dcmDataDict.rdlock();
        dcmDataDict.rdunlock();
        // Never closed: glibc forgets a converter that nobody has open.
        for (const char *name : character_sets) static_cast<void>(iconv_open("UTF-8", name));
    } catch (...) {
        // Out of memory: what is missing will be missed by name.
    }
}
