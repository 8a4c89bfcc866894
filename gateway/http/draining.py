"""Whether the gateway has been told to stop: not ready any more, connections closed after their answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Draining:
    """Set once, by the signal handler."""

    begun: bool = False
