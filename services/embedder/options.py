"""How a network is to be run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.chassis.inference.precision import Precision


class Device(StrEnum):
    """Where a network computes."""

    AUTO = "auto"
    """The GPU where there is one, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"
    """An NVIDIA GPU; where there is none the tier does not become ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How a network is to be run."""

    device: Device
    precision: Precision
    threads: int
    """Processors a CPU engine computes on."""
    max_batch: int
    """Most faces of one batch."""
    flip_test: bool
    """Embed each face and its mirror image and answer the direction of their sum: more exact, twice the work."""
