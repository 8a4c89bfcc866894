"""What a process takes of the machine, read from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """At one moment."""

    resident_mib: float
    descriptors: int
    threads: int


def usage_of(pid: int) -> Usage:
    """That of a process that lives."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Usage(
        resident_mib=int(told["VmRSS"].split()[0]) / 1024,
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        threads=int(told["Threads"]),
    )
