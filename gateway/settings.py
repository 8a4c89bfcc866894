"""The gateway's settings (`FACET_GATEWAY_…`) and where it finds the tiers (`FACET_<TIER>_TARGET`)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import SharedSettings


class TargetSettings(BaseSettings):
    """Where each tier is: any gRPC target, `dns:///name:port` in Kubernetes."""

    model_config = SettingsConfigDict(env_prefix="FACET_")

    detector_target: str = "127.0.0.1:50051"
    embedder_target: str = "127.0.0.1:50052"
    anonymizer_target: str = "127.0.0.1:50053"


class GatewaySettings(BaseSettings):
    """Documented in the gateway's README."""

    model_config = SettingsConfigDict(env_prefix="FACET_GATEWAY_")

    port: int = Field(8080, ge=0, le=65535)
    metrics_port: int = Field(9100, ge=0, le=65535)
    deadline_s: PositiveFloat = 60.0
    """How long one request may take, all tiers together."""
    verify: bool = False
    """Check every anonymized picture, whether or not a request asks for it."""
    receipt_key: Path | None = None
    """A PEM file with the Ed25519 key that signs receipts; None = receipts are refused."""
    targets: TargetSettings = Field(default_factory=TargetSettings)
    shared: SharedSettings = Field(default_factory=SharedSettings)
