"""The detector's settings (`FACET_DETECTOR_…`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from services.chassis.inference.precision import Precision
from services.chassis.process.settings import ModelSettings, TierSettings
from services.detector.models import DetectorOptions


class DetectorSettings(TierSettings):
    """Documented in this tier's README."""

    model_config = SettingsConfigDict(env_prefix="FACET_DETECTOR_")

    port: int = Field(50051, ge=0, le=65535)
    metrics_port: int = Field(9101, ge=0, le=65535)
    model: str = ""
    """Default model; empty = the one with the best recall among those installed."""
    weights: Path | None = None
    """A RetinaFace checkpoint of the owner's; it is the default model then, unless `model` names another."""
    max_search_pixels: PositiveInt = 80_000_000
    """Pixels given to RetinaFace for one picture, all passes together: bounds time, and how small a face is found."""
    precision: Literal[Precision.AUTO, Precision.FP32, Precision.BF16] = Precision.AUTO
    """What RetinaFace computes in: `auto` is bf16 where the processor has instructions for it and answers rightly."""
    models: ModelSettings = Field(default_factory=ModelSettings)

    @property
    def options(self) -> DetectorOptions:
        """Which models answer, and how much they may search."""
        return DetectorOptions(
            default=self.model,
            weights=self.weights,
            max_search_pixels=self.max_search_pixels,
            precision=self.precision,
        )
