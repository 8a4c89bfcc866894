"""Sizes as people say them."""

from __future__ import annotations

import math

_KIB = 1024
_STEPS = 10  # tenths
_UNITS = ((_KIB**3, "GiB"), (_KIB**2, "MiB"), (_KIB, "KiB"))


def size_text(size_bytes: int) -> str:
    """For instance `64 MiB` or `195.4 KiB`: rounded up, so that what is over a limit never reads like the limit."""
    if size_bytes < _KIB:
        return f"{size_bytes} bytes"
    unit, name = next((unit, name) for unit, name in _UNITS if size_bytes >= unit)
    return f"{math.ceil(size_bytes * _STEPS / unit) / _STEPS:.10g} {name}"


def limit_text(limit_bytes: int) -> str:
    """A limit: exact, in MiB or KiB where it is a whole number of them."""
    for unit, name in ((_KIB**2, "MiB"), (_KIB, "KiB")):
        if limit_bytes % unit == 0:
            return f"{limit_bytes // unit} {name}"
    return f"{limit_bytes / _KIB**2:.3g} MiB" if limit_bytes > _KIB**2 else f"{limit_bytes} bytes"
