"""Control groups that hold a process to a share of a processor, as a container's limit does; made by root alone."""

from __future__ import annotations

import os
from pathlib import Path

PERIOD_US = 100_000
_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")


class CpuQuota:
    """One control group, version 1 or 2, whichever the machine has."""

    def __init__(self, name: str, processors: float) -> None:
        """Makes the group `facet-<name>-<pid>`.

        Raises:
            PermissionError: This user may make none.
        """
        quota_us = round(PERIOD_US * processors)
        version_1 = (_V1 / "cpu.cfs_quota_us").exists()
        self._parent = _V1 if version_1 else _V2
        if not version_1:
            (_V2 / "cgroup.subtree_control").write_text("+cpu")
        self._group = self._parent / f"facet-{name}-{os.getpid()}"
        self._group.mkdir()
        if version_1:
            (self._group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self._group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (self._group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")

    def add(self, pid: int) -> None:
        """Holds a process, all its threads, to the share."""
        (self._group / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        """Removes the group, once its processes have ended."""
        self._group.rmdir()
