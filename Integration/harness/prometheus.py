# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of the Prometheus text format, version 0.0.4."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(
    rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|Inf|NaN))(?: (-?[0-9]+))?")


def read(text, typed=True):
    """{name: value} and {name{labels}: value}; raises ValueError on anything the format does not allow.

    `typed`: each sample must follow the HELP and TYPE of its family; histograms must be cumulative and complete.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    values, kinds, family = {}, {}, None
    for line in text.splitlines():
        if line.startswith("#"):
            match = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
            if not match:
                raise ValueError(f"neither HELP nor TYPE: {line}")
            if match[1] == "TYPE":
                if match[2] in kinds or match[3] not in ("counter", "gauge", "histogram"):
                    raise ValueError(f"a second or unknown TYPE: {line}")
                kinds[match[2]] = match[3]
                family = match[2]
            continue
        match = SAMPLE.fullmatch(line)
        if not match:
            raise ValueError(f"not a sample: {line}")
        key = match[1] + (f"{{{match[2]}}}" if match[2] else "")
        if key in values:
            raise ValueError(f"twice: {key}")
        if typed:
            own = re.sub(r"_(bucket|sum|count)$", "", match[1]) if kinds.get(family) == "histogram" else match[1]
            if own != family:
                raise ValueError(f"{key} does not stand under its TYPE")
        values[key] = float(match[3])
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        check_histogram(name, values)
    return values


def check_histogram(name, values):
    buckets = [(key, value) for key, value in values.items() if key.startswith(f"{name}_bucket{{le=")]
    counts = [value for _, value in buckets]
    if not buckets or buckets[-1][0] != f'{name}_bucket{{le="+Inf"}}' or counts != sorted(counts):
        raise ValueError(f"{name}: the buckets are not cumulative, or +Inf is not the last")
    if values[f"{name}_count"] != counts[-1] or f"{name}_sum" not in values:
        raise ValueError(f"{name}: count or sum is missing or wrong")
