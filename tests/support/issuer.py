"""An identity provider's keys: signs tokens and publishes what verifies them."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.org"
AUDIENCE = "facet"

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


def ed25519_key() -> Ed25519PrivateKey:
    """For EdDSA."""
    return Ed25519PrivateKey.generate()


def p256_key() -> EllipticCurvePrivateKey:
    """For ES256."""
    return generate_private_key(SECP256R1())


def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    """For RS256 and its like."""
    return generate_rsa_key(public_exponent=65537, key_size=bits)


def jwk(kid: str, key: PrivateKey, **fields: str) -> dict[str, Any]:
    """The public half of a key, as providers publish it."""
    match key:
        case Ed25519PrivateKey():
            data = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case RSAPrivateKey():
            data = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case EllipticCurvePrivateKey():
            data = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**data, "kid": kid, "use": "sig", **fields}


def jwks(*keys: dict[str, Any]) -> bytes:
    """The document that a provider publishes."""
    return json.dumps({"keys": list(keys)}).encode()


def claims(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  (JSON)
    """Those of a token that is good for ten minutes; a change to None leaves one out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600, "scope": "facet:detect"}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def token(kid: str, key: Any, algorithm: str, **changes: Any) -> str:  # noqa: ANN401  (what PyJWT takes)
    """A signed token."""
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid})
