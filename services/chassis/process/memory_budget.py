"""A memory budget shared by the pictures in work: callers block when it is exhausted, so no container is OOM-killed."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.chassis.errors import TooLarge
from services.chassis.process.memory_limit import usable_memory_bytes
from services.chassis.process.patience import still_awaited

_MIB = 1024 * 1024
_SHARE = 0.75
"""The share of what is free that pictures may take: what they need is an estimate, and messages take memory too."""
_LOOK_S = 0.25
"""So often one that waits looks whether it is still awaited itself."""
_RESIDENT = Path("/proc/self/statm")


class MemoryBudget:
    """Bytes that the work of several threads shares. Who came first is served first, however much it needs."""

    def __init__(self, total_bytes: float = math.inf) -> None:
        self._total_bytes = total_bytes
        self._held_bytes = 0.0
        self._turn = threading.Lock()
        self._freed = threading.Condition()

    def measure(self) -> None:
        """From now on the total is what the container, or else the machine, leaves beyond what this process holds."""
        resident_bytes = int(_RESIDENT.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self._total_bytes = _SHARE * max(0.0, usable_memory_bytes() - resident_bytes)

    @contextmanager
    def hold(self, needed_bytes: float) -> Iterator[None]:
        """Reserves the bytes for as long as the context lasts. Blocks until they are free.

        Raises:
            TooLarge: They are more than there ever are.
            DeadlinePassed: Whoever it is for waited no longer.
        """
        if needed_bytes > self._total_bytes:
            needed_mib, total_mib = math.ceil(needed_bytes / _MIB), math.floor(self._total_bytes / _MIB)
            raise TooLarge(
                f"the picture takes about {needed_mib} MiB to process, and this server has {total_mib}; send it with "
                "fewer pixels, or regions, or give the server more memory"
            )
        with self._in_turn(), self._freed:
            while not self._freed.wait_for(lambda: self._held_bytes + needed_bytes <= self._total_bytes, _LOOK_S):
                still_awaited()
            self._held_bytes += needed_bytes
        try:
            yield
        finally:
            with self._freed:
                self._held_bytes -= needed_bytes
                self._freed.notify_all()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        while not self._turn.acquire(timeout=_LOOK_S):
            still_awaited()
        try:
            yield
        finally:
            self._turn.release()
