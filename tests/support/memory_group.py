"""A control group with a memory limit, as a container has one; what runs in it is ended when it takes more."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import eventually

_ROOT = Path("/sys/fs/cgroup")
_V1 = _ROOT / "memory"
_ENTER = 'echo $$ > "$0/cgroup.procs" && mount --bind "$0" "$1" && shift && exec "$@"'
"""In a mount namespace of its own, so that the process sees its limit where a container's stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGroup:
    """One."""

    folder: Path
    version_1: bool

    @property
    def prefix(self) -> tuple[str, ...]:
        """The command to run a process under that is to be in it."""
        seen_at = _V1 if self.version_1 else _ROOT
        return ("unshare", "--mount", "sh", "-c", _ENTER, str(self.folder), str(seen_at))

    @property
    def peak_bytes(self) -> int:
        """The most that was taken at a time; of version 2 where the kernel tells it, else now."""
        names = ("memory.max_usage_in_bytes",) if self.version_1 else ("memory.peak", "memory.current")
        return int(next(file for file in (self.folder / name for name in names) if file.exists()).read_text())

    def forget_peak(self) -> None:
        """Counts anew, where the kernel allows it."""
        if self.version_1:
            (self.folder / "memory.max_usage_in_bytes").write_text("0")


def can_limit_memory() -> bool:
    """Whether this user may make groups, and see them as a container does."""
    home = _V1 if _V1.is_dir() else _ROOT
    return os.geteuid() == 0 and os.access(home, os.W_OK) and shutil.which("unshare") is not None


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Made for as long as the context lasts; what is left in it then is ended."""
    version_1 = _V1.is_dir()
    folder = (_V1 if version_1 else _ROOT) / f"facet-test-{uuid.uuid4().hex}"
    folder.mkdir()
    try:
        (folder / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(limit_bytes))
        if not version_1 and (folder / "memory.swap.max").exists():
            (folder / "memory.swap.max").write_text("0")
        yield MemoryGroup(folder=folder, version_1=version_1)
    finally:
        for process in (folder / "cgroup.procs").read_text().split():
            os.kill(int(process), signal.SIGKILL)
        eventually(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()
