"""The detector's settings (`FACET_DETECTOR_…`)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ModelSettings, TierSettings


class DetectorSettings(TierSettings):
    """Documented in this tier's README."""

    model_config = SettingsConfigDict(env_prefix="FACET_DETECTOR_")

    port: int = Field(50051, ge=0, le=65535)
    metrics_port: int = Field(9101, ge=0, le=65535)
    model: str = ""
    """Default model; empty = the one with the best recall among those installed."""
    models: ModelSettings = Field(default_factory=ModelSettings)
