"""What a detector's network computes in."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """A number format of weights and activations."""

    AUTO = "auto"
    """bf16 where the processor computes in it natively, else fp32."""
    FLOAT32 = "fp32"
    BFLOAT16 = "bf16"
    """Float32's range with 8 significant bits."""
