// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_SANDBOX_REPORT_H
#define GANTRY_SANDBOX_REPORT_H

#include <stdatomic.h>
#include <stdint.h>

/// A page that parent and child share; the child writes it.
struct report {
    /// GS_LAYER_…
    _Atomic uint32_t layers;
    /// 0: no refusal; 1: one is being written; 2: it is complete.
    _Atomic uint32_t refusals;
    int64_t call;
    uint64_t arguments[6];
    /// The path that the call names, cut; may lack its end.
    char path[512];
};

/// Which argument of a system call is a path; -1: none.
int path_argument(int64_t call);

#endif
