"""Settings from environment variables: `FACET_…` shared by all tiers, `FACET_<TIER>_…` owned by one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, TypeVar

import platformdirs
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.errors import InvalidRequest
from services.chassis.process.memory_budget import MemoryBudget
from services.chassis.process.processors import available_processors

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """Which pictures are refused before they are decoded, and what those in work may take."""

    max_bytes: int
    max_pixels: int
    memory: MemoryBudget = field(default_factory=MemoryBudget)
    """What the pictures in work may take together."""

    @property
    def max_answer_bytes(self) -> int:
        """Largest encoded picture answered: one may be written with less compression than it came with."""
        return 2 * self.max_bytes


Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(kind: type[Settings]) -> Settings:
    """The settings of the environment. Exits with 1 and the variable's name where one is wrong."""
    try:
        return kind()
    except ValidationError as error:
        wrong = error.errors()[0]
        if not wrong["loc"]:  # several that do not go together, which the message names
            sys.exit(str(wrong["ctx"]["error"]))
        # A nested class fails with its own title, and it is its prefix that counts.
        prefix = next(c for c in _subclasses(BaseSettings) if c.__name__ == error.title).model_config["env_prefix"]
        sys.exit(f"{prefix}{str(wrong['loc'][-1]).upper()}: {wrong['msg']}")


@contextmanager
def naming(variable: str) -> Iterator[None]:
    """Puts the variable's name before what the block finds wrong with its value."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(f"{variable}: {error}") from error


def _subclasses(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


class ModelSettings(BaseSettings):
    """Where weights are kept and fetched from."""

    model_config = SettingsConfigDict(env_prefix="FACET_MODELS_", protected_namespaces=())

    dir: Path = Field(default_factory=lambda: platformdirs.user_cache_path("facet") / "models")
    """Folder of the installed weights."""
    mirror: Path | None = None
    """Folder searched by file name before any other source (air-gapped sites)."""
    manifest: Path | None = None
    """A TOML file of the owner's own models, in the format of the built-in manifest; it may override entries."""


class TlsSettings(BaseSettings):
    """What this process shows the others, and whom it believes; PEM files, all three or none, which is plaintext."""

    model_config = SettingsConfigDict(env_prefix="FACET_TLS_")

    certificate: Path | None = None
    """Its certificate, and those that lead to the authority, if any."""
    key: Path | None = None
    """The certificate's private key."""
    ca: Path | None = None
    """The authority, which vouches for everyone who may be called and may call."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len({path is None for path in (self.certificate, self.key, self.ca)}) > 1:
            raise ValueError("FACET_TLS_CERTIFICATE, FACET_TLS_KEY and FACET_TLS_CA: set all three or none")
        return self


class SharedSettings(BaseSettings):
    """What all tiers share (`FACET_…`)."""

    model_config = SettingsConfigDict(env_prefix="FACET_")

    host: str = "127.0.0.1"
    """Address to listen on; containers set 0.0.0.0."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    max_image_bytes: PositiveInt = 64 * MIB
    """Largest encoded picture accepted."""
    max_pixels: PositiveInt = 100_000_000
    """Largest width times height accepted, known from the header before decoding."""
    drain_s: NonNegativeFloat = 1.5
    """After SIGTERM: how long new calls are still served, so that clients that watch health move away."""
    grace_s: PositiveFloat = 20.0
    """After that: how long calls in flight may take to finish."""

    max_connection_age_s: PositiveFloat = 10.0
    """How long a client keeps one connection before it looks for replicas again; calls on it are not cut."""
    max_call_s: PositiveFloat = 300.0
    """How long a tier works on one call, a stream included, whether or not its caller has set a deadline."""
    health_port: int | None = Field(None, ge=0, le=65535)
    """Where a tier under TLS answers health in plaintext, and nothing else; 0 = any free port, None = nowhere."""
    tls: TlsSettings = Field(default_factory=TlsSettings)

    @model_validator(mode="after")
    def _health_port_beside_tls(self) -> Self:
        if self.health_port is not None and self.tls.certificate is None:
            raise ValueError("FACET_HEALTH_PORT: only with FACET_TLS_CERTIFICATE; else ask the gRPC port for health")
        return self

    @property
    def picture_limits(self) -> PictureLimits:
        """The limits on encoded pictures."""
        return PictureLimits(max_bytes=self.max_image_bytes, max_pixels=self.max_pixels)

    @property
    def max_message_bytes(self) -> int:
        """Largest gRPC message on either side: a picture and what goes with it."""
        return self.picture_limits.max_answer_bytes + MIB


class TierSettings(BaseSettings):
    """What every gRPC tier has; a tier's own class adds the prefix `FACET_<TIER>_`, ports and its own fields."""

    port: int = Field(ge=0, le=65535)
    """gRPC port; 0 = any free one."""
    metrics_port: int = Field(ge=0, le=65535)
    """Prometheus port; 0 = any free one."""
    workers: PositiveInt = Field(default_factory=available_processors)
    """Pictures worked on at once; default: the processors this process may use."""
    queue_size: PositiveInt = 64
    """Pictures that may wait for a worker; one more is refused with RESOURCE_EXHAUSTED."""
    queue_mib: PositiveInt = 256
    """What the pictures waiting and in work may take as encoded files; beyond it they are refused alike."""
    shared: SharedSettings = Field(default_factory=SharedSettings)

    @property
    def queue_bytes(self) -> int:
        """`queue_mib` in bytes."""
        return self.queue_mib * MIB
