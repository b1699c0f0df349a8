// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_SANDBOX_CONFINED_H
#define GANTRY_SANDBOX_CONFINED_H

#include <stdint.h>

#include "report.h"

/// The page that this process shares with its parent; NULL before `gs_isolate`.
extern struct report *confined_report;

/// Notes a layer as in force.
void add_layer(uint32_t layer);

/// Sets both bounds of a resource, never above those that are there.
int limit(int resource, uint64_t value);

#endif
