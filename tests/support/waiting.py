"""Waiting for what becomes true by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.02


def eventually(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Returns as soon as the condition holds; asks again and again, as another process changes it."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"not within {timeout_s:g} s"
        time.sleep(POLL_S)
