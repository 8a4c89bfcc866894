"""How a network is to be run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Device(StrEnum):
    """Where a network computes."""

    AUTO = "auto"
    """The GPU where there is one, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"
    """An NVIDIA GPU; where there is none the tier does not become ready."""


class Precision(StrEnum):
    """A number format of weights and activations; embeddings are answered in float32 whatever it is."""

    AUTO = "auto"
    """bf16 where the device computes in it natively, else fp16 on a GPU and fp32 on a CPU."""
    FP32 = "fp32"
    """On a GPU without TF32."""
    BF16 = "bf16"
    """Float32's range with 8 significant bits."""
    FP16 = "fp16"
    """11 significant bits, values up to 65,504; GPUs only."""


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
