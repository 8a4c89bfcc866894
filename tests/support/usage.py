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
    return Usage(
        resident_mib=memory_mib(pid),
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        threads=int(_told(pid, "Threads")),
    )


def memory_mib(pid: int, measure: str = "VmRSS") -> float:
    """The memory that a process holds (VmRSS) or held at most (VmHWM)."""
    return int(_told(pid, measure).removesuffix("kB")) / 1024


def count_peak_from_here(pid: int) -> None:
    """Makes what a process holds now the most that it held."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _told(pid: int, name: str) -> str:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return line.partition(":")[2].strip()
