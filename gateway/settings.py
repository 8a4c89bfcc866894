"""The gateway's settings (`FACET_GATEWAY_…`) and where it finds the tiers (`FACET_<TIER>_TARGET`)."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.chassis.process.memory_limit import usable_memory_bytes
from services.chassis.process.processors import available_processors
from services.chassis.process.settings import MIB, SharedSettings

_UPLOADS_SHARE = 1 / 6


def _uploads_mib() -> int:
    return max(1, int(usable_memory_bytes() * _UPLOADS_SHARE / MIB))


class TargetSettings(BaseSettings):
    """Where each tier is: any gRPC target, `dns:///name:port` in Kubernetes."""

    model_config = SettingsConfigDict(env_prefix="FACET_")

    detector_target: str = "127.0.0.1:50051"
    embedder_target: str = "127.0.0.1:50052"
    anonymizer_target: str = "127.0.0.1:50053"


class OidcSettings(BaseSettings):
    """Whose access tokens are taken: all of these, or none where tokens are not."""

    model_config = SettingsConfigDict(env_prefix="FACET_GATEWAY_OIDC_")

    issuer: str = ""
    """What `iss` must be."""
    audience: str = ""
    """What `aud` must be, or contain."""
    jwks: str = ""
    """The issuer's public keys: an https address or a file."""


class GatewayTlsSettings(BaseSettings):
    """TLS at the HTTP port: PEM files, both or none, which is plaintext."""

    model_config = SettingsConfigDict(env_prefix="FACET_GATEWAY_TLS_")

    certificate: Path | None = None
    """The certificate, and those that lead to its authority."""
    key: Path | None = None
    """Its private key."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("FACET_GATEWAY_TLS_CERTIFICATE and FACET_GATEWAY_TLS_KEY: set both or none")
        return self


class GatewaySettings(BaseSettings):
    """Documented in the gateway's README."""

    model_config = SettingsConfigDict(env_prefix="FACET_GATEWAY_")

    port: int = Field(8080, ge=0, le=65535)
    metrics_port: int = Field(9100, ge=0, le=65535)
    deadline_s: PositiveFloat = 60.0
    """How long one request may take, all tiers together; a client may ask for less with `X-Facet-Timeout`, seconds."""
    max_requests: PositiveInt = Field(default_factory=lambda: 32 * available_processors())
    """Maximum concurrent requests; further ones get 429 before their body is read."""
    max_uploads_mib: PositiveInt = Field(default_factory=_uploads_mib)
    """What their bodies may take together; default: a sixth of the memory, as each is held up to four times."""
    max_connections: PositiveInt = 2048
    """Maximum open connections; a further one replaces the one idle for longest, or is closed."""
    verify: bool = False
    """Check every anonymized picture, whatever its request says; found faces stay visible only by identity."""
    receipt_key: Path | None = None
    """A PEM file with the Ed25519 key that signs receipts; None = receipts are refused."""
    audit_log: Path | None = None
    """A file that every picture call is entered in; None = there is none."""
    keys: Path | None = None
    """A TOML file of API keys; None = none are taken."""
    allow_anonymous: bool = False
    """Whether everyone may call where there are neither keys nor tokens, and others can reach the gateway."""
    caller_requests_per_s: PositiveFloat = 100.0
    """Each caller's, like the next two: of tokens, and of keys that state none."""
    caller_burst: PositiveInt = 200
    caller_at_once: PositiveInt = 32
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; nobody else's are."""
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    tls: GatewayTlsSettings = Field(default_factory=GatewayTlsSettings)
    targets: TargetSettings = Field(default_factory=TargetSettings)
    shared: SharedSettings = Field(default_factory=SharedSettings)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return tuple(re.findall(r"[^\s,]+", given)) if isinstance(given, str) else given

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for each in given:
            try:
                ip_network(each)
            except ValueError as error:
                raise ValueError(
                    f"{each!r} is neither an address nor a network; write 10.1.2.3 or 10.1.0.0/16, separated by commas"
                ) from error
        return given
