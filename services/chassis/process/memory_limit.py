"""How much memory this process may take before its container is ended."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_V2_LIMIT = Path("/sys/fs/cgroup/memory.max")
CGROUP_V1_LIMIT = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")
_V1_UNLIMITED_BYTES = 2**60
"""Version 1 has no word for no limit: it tells the largest number of whole pages."""


def memory_limit_bytes() -> float:
    """The control group's limit, from version 2 or 1; infinite without one."""
    for source in (CGROUP_V2_LIMIT, CGROUP_V1_LIMIT):
        try:
            limit_bytes = float(source.read_text())
        except (OSError, ValueError):  # "max" is no number
            continue
        return limit_bytes if limit_bytes < _V1_UNLIMITED_BYTES else math.inf
    return math.inf


def usable_memory_bytes() -> float:
    """What this process may take: the control group's limit, or all that the machine has."""
    return min(memory_limit_bytes(), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
