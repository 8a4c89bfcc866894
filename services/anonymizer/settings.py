"""The anonymizer's settings (`FACET_ANONYMIZER_…`)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.process.settings import TierSettings


class AnonymizerSettings(TierSettings):
    """Documented in this tier's README."""

    model_config = SettingsConfigDict(env_prefix="FACET_ANONYMIZER_")

    port: int = Field(50053, ge=0, le=65535)
    metrics_port: int = Field(9103, ge=0, le=65535)
    keep_capture_time: bool = False
    """Whether answers tell when a picture was taken; all else of its metadata is dropped in any case."""
