"""Tokens: what an issuer signed for this audience is taken, and nothing that looks like it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.identity.authenticator import MAX_CREDENTIAL_CHARS
from gateway.identity.caller import Allowance, CallerKind, Scope
from gateway.identity.jwks import JwksFile
from gateway.identity.oidc import LEEWAY_S, OidcTokens
from services.chassis.errors import InvalidCredential
from tests.support.issuer import AUDIENCE, ISSUER, claims, ed25519_key, jwk, jwks, p256_key, rsa_key, token

ALLOWANCE = Allowance(requests_per_s=10, burst=20, at_once=4)
ED, EC, RSA = ed25519_key(), p256_key(), rsa_key()


@pytest.fixture
def tokens(tmp_path: Path) -> OidcTokens:
    published = tmp_path / "jwks.json"
    published.write_bytes(jwks(jwk("ed", ED), jwk("ec", EC), jwk("rsa", RSA)))
    return OidcTokens(issuer=ISSUER, audience=AUDIENCE, keys=JwksFile(published), allowance=ALLOWANCE)


async def refusal(tokens: OidcTokens, sent: str) -> str:
    with pytest.raises(InvalidCredential) as raised:
        await tokens.authenticate(f"Bearer {sent}")
    assert sent not in str(raised.value)
    return str(raised.value)


def segment(content: Any) -> str:  # noqa: ANN401  (JSON)
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"),
    [("ed", ED, "EdDSA"), ("ec", EC, "ES256"), ("rsa", RSA, "RS256"), ("rsa", RSA, "PS512")],
)
async def test_subject_of_a_signed_token_is_the_caller(
    tokens: OidcTokens, kid: str, key: object, algorithm: str
) -> None:
    caller = await tokens.authenticate(f"Bearer {token(kid, key, algorithm)}")
    assert (caller.kind, caller.id, caller.label) == (CallerKind.TOKEN, "alice", "token:alice")
    assert caller.scopes == {Scope.DETECT}
    assert caller.allowance == ALLOWANCE


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({"scope": "openid facet:detect facet:embed"}, {Scope.DETECT, Scope.EMBED}),
        ({"scope": ["facet:compare", 1]}, {Scope.COMPARE}),
        ({"scope": None, "scp": "facet:anonymize"}, {Scope.ANONYMIZE}),
        ({"scope": None, "scp": ["facet:anonymize", "facet:detect"]}, {Scope.ANONYMIZE, Scope.DETECT}),
        ({"scope": "facet:detect", "scp": ["facet:embed"]}, {Scope.DETECT, Scope.EMBED}),
        ({"scope": "detect anonymize FACET:embed facet:everything facet:"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"facet:detect": True}}, set()),
        ({"scope": 1, "scp": None}, set()),
    ],
)
async def test_scopes_are_those_of_the_token_that_are_meant_for_facet(
    tokens: OidcTokens, changes: dict[str, object], scopes: set[Scope]
) -> None:
    caller = await tokens.authenticate(f"Bearer {token('ed', ED, 'EdDSA', **changes)}")
    assert caller.scopes == scopes


NOW = int(time.time())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"aud": "another"}, "another audience"),
        ({"aud": ["another", "third"]}, "another audience"),
        ({"aud": None}, "lacks"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": None}, "lacks"),
        ({"exp": NOW - LEEWAY_S - 5}, "expired"),
        ({"exp": None}, "lacks"),
        ({"nbf": NOW + LEEWAY_S + 86_400}, "not valid yet"),
        ({"iat": NOW + LEEWAY_S + 86_400}, "not valid yet"),
        ({"iat": None}, "lacks"),
        ({"sub": None}, "lacks"),
        ({"sub": ""}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": 7}, "not valid"),
        ({"exp": "soon"}, "not valid"),
    ],
)
async def test_token_with_other_claims_is_refused(tokens: OidcTokens, changes: dict[str, object], told: str) -> None:
    assert told in await refusal(tokens, token("ed", ED, "EdDSA", **changes))


async def test_clocks_may_differ_a_little(tokens: OidcTokens) -> None:
    now = int(time.time())
    sent = token("ed", ED, "EdDSA", exp=now - LEEWAY_S // 2, iat=now + LEEWAY_S // 2, nbf=now + LEEWAY_S // 2)
    assert await tokens.authenticate(f"Bearer {sent}")


async def test_one_audience_of_several_is_enough(tokens: OidcTokens) -> None:
    assert await tokens.authenticate(f"Bearer {token('ed', ED, 'EdDSA', aud=['another', AUDIENCE])}")


async def test_forged_tokens_are_refused(tokens: OidcTokens) -> None:
    head, body, signature = token("rsa", RSA, "RS256").split(".")
    forged = {
        "of another key": token("rsa", rsa_key(), "RS256"),
        "of an unknown key": token("new", ED, "EdDSA"),
        "of the key with another name": token("ed", EC, "ES256"),
        "with other claims": f"{head}.{segment(claims(sub='root'))}.{signature}",
        "without a signature": f"{head}.{body}.",
        "of the wrong length": f"{head}.{body}",
        "alg none": f"{segment({'alg': 'none', 'kid': 'rsa'})}.{body}.",
        "alg None": f"{segment({'alg': 'None', 'kid': 'rsa'})}.{body}.{signature}",
        "no alg": f"{segment({'kid': 'rsa'})}.{body}.{signature}",
        "no kid": f"{segment({'alg': 'RS256'})}.{body}.{signature}",
        "kid no text": f"{segment({'alg': 'RS256', 'kid': ['rsa']})}.{body}.{signature}",
        "unknown critical extension": token_with_header({"crit": ["exp"], "exp": 1}),
        "deep header": base64.urlsafe_b64encode(b"[" * 9000).decode() + f".{body}.{signature}",
    }
    for what, sent in forged.items():
        assert await refusal(tokens, sent), what


def token_with_header(header: dict[str, object]) -> str:
    return jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "rsa", **header})


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_public_key_is_no_secret_to_sign_with(tokens: OidcTokens, algorithm: str) -> None:
    """PyJWT refuses to sign so: the token is put together by hand, as an attacker would."""
    unsigned = f"{segment({'alg': algorithm, 'kid': 'rsa', 'typ': 'JWT'})}.{segment(claims())}"
    hmac = jwt.get_algorithm_by_name(algorithm)
    for secret in (public_pem(RSA), public_pem(RSA).strip(), jwks(jwk("rsa", RSA))):
        signature = base64.urlsafe_b64encode(hmac.sign(unsigned.encode(), secret)).rstrip(b"=").decode()
        assert "algorithm" in await refusal(tokens, f"{unsigned}.{signature}")


async def test_oversized_token_is_refused_unread(tokens: OidcTokens) -> None:
    sent = token("ed", ED, "EdDSA", groups=["group"] * MAX_CREDENTIAL_CHARS)
    assert "longer" in await refusal(tokens, sent)
