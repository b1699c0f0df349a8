# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement was made on."""

import os
import platform
import time


def machine_line(*versions):
    """Processor, cores, memory, kernel, what else is given, and the day."""
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rest = "; ".join([*versions, f"Linux {platform.release()}"])
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB; {rest}; {time.strftime('%Y-%m-%d')}"
