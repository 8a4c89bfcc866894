"""How many processors this process may use, container limits included."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_V2_LIMIT = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def available_processors() -> int:
    """The affinity mask's size or the cgroup's CPU quota rounded up, whichever is less; at least 1."""
    # macOS and Windows have no affinity of processes to ask for.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def _cgroup_quota() -> float | None:
    """Processors' worth of time a period, from cgroup v2 or v1; None without a limit."""
    try:
        quota, period = CGROUP_V2_LIMIT.read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = CGROUP_V1_QUOTA.read_text().strip(), CGROUP_V1_PERIOD.read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)
