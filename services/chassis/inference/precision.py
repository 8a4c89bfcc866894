"""What a network computes in."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """A number format of weights and activations; answers are float32 whatever it is."""

    AUTO = "auto"
    """bf16 where the device computes in it natively, else fp16 on a GPU and fp32 on a CPU."""
    FP32 = "fp32"
    """On a GPU without TF32."""
    BF16 = "bf16"
    """Float32's range with 8 significant bits."""
    FP16 = "fp16"
    """11 significant bits, values up to 65,504; GPUs only."""
