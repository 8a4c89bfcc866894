"""A gateway that asks who calls, and credentials that it takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, digest_of, make_key
from tests.support.issuer import AUDIENCE, ISSUER, ed25519_key, jwk, jwks, token

_UNLIMITED = {"requests_per_s": 1_000_000, "burst": 1_000_000, "at_once": 1000}
_LASTING_S = 86_400  # longer than any run


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The settings, and what opens."""

    settings: Mapping[str, str]
    key: str
    """An API key for everything, without limits."""
    token: str
    """An OIDC token for everything."""


def guarded(folder: Path, *, subject: str = "alice") -> Guarded:
    """Writes the files that the settings name into the folder; the token is the subject's."""
    key, signer = make_key(), ed25519_key()
    entry = KeyEntry.model_validate(
        {
            "name": "hostile",
            "id": key.id,
            "sha256": digest_of(key.text).hex(),
            "scopes": list(Scope),
            **_UNLIMITED,
        }
    )
    (folder / "keys.toml").write_text(entry.to_toml())
    (folder / "jwks.json").write_bytes(jwks(jwk("1", signer)))
    scopes = " ".join(f"facet:{scope}" for scope in Scope)
    signed = token("1", signer, "EdDSA", sub=subject, scope=scopes, exp=int(time.time()) + _LASTING_S)
    return Guarded(
        settings={
            "FACET_GATEWAY_KEYS": str(folder / "keys.toml"),
            "FACET_GATEWAY_OIDC_ISSUER": ISSUER,
            "FACET_GATEWAY_OIDC_AUDIENCE": AUDIENCE,
            "FACET_GATEWAY_OIDC_JWKS": str(folder / "jwks.json"),
            "FACET_GATEWAY_CALLER_REQUESTS_PER_S": "1000000",
            "FACET_GATEWAY_CALLER_BURST": "1000000",
            "FACET_GATEWAY_CALLER_AT_ONCE": "1000",
        },
        key=key.text,
        token=signed,
    )
