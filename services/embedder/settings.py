"""The embedder's settings (`FACET_EMBEDDER_…`)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from services.chassis.inference.precision import Precision
from services.chassis.process.processors import available_processors
from services.chassis.process.settings import ModelSettings, TierSettings
from services.embedder.options import Device, EngineOptions


class EmbedderSettings(TierSettings):
    """Documented in this tier's README."""

    model_config = SettingsConfigDict(env_prefix="FACET_EMBEDDER_")

    port: int = Field(50052, ge=0, le=65535)
    metrics_port: int = Field(9102, ge=0, le=65535)
    model: str = ""
    """Name of an installed model; empty = the most accurate of those installed."""
    weights: Path | None = None
    """A weights file of the owner's; goes before `model`."""
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    threads: PositiveInt = Field(default_factory=available_processors)
    """Processors the CPU engine computes on; default: those this process may use."""
    flip_test: bool = False
    max_batch: PositiveInt = 16
    """Most faces of one batch."""
    queue_size: PositiveInt = 256
    """Faces that may wait for the device; a call that would exceed it is refused with RESOURCE_EXHAUSTED."""
    models: ModelSettings = Field(default_factory=ModelSettings)

    @property
    def engine(self) -> EngineOptions:
        """How the network is to be run."""
        return EngineOptions(
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            max_batch=self.max_batch,
            flip_test=self.flip_test,
        )
