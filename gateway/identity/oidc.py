"""Callers who show an access token of an OpenID Connect provider: a JWT (RFC 7519, RFC 9068)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
from jwt.types import Options

from gateway.identity.authenticator import bearer_of
from gateway.identity.caller import Allowance, Caller, CallerKind, Scope
from gateway.identity.jwks import KeySource
from services.chassis.errors import InvalidCredential

LEEWAY_S = 30
"""How far the provider's clock may be off."""
SCOPE_PREFIX = "facet:"
"""Providers share one set of scopes among all applications: `compare` alone may mean something else elsewhere."""
MAX_SUBJECT_CHARS = 255  # OpenID Connect Core 1.0, section 2

_OPTIONS: Options = {"require": ["exp", "iat", "iss", "aud", "sub"]}
_WHY: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is meant for another audience",
    jwt.InvalidIssuerError: "the token is from another issuer",
    jwt.MissingRequiredClaimError: "the token lacks one of exp, iat, iss, aud and sub",
    jwt.InvalidAlgorithmError: "the token's algorithm does not match its key",
}


class OidcTokens:
    """Knows the subjects of tokens that one issuer signed for one audience."""

    def __init__(self, *, issuer: str, audience: str, keys: KeySource, allowance: Allowance) -> None:
        """Reads nothing.

        Args:
            issuer: What `iss` must be, exactly.
            audience: What `aud` must be, or contain.
            keys: The issuer's.
            allowance: Each subject's.
        """
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._allowance = allowance

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller that is the token's subject."""
        token = bearer_of(authorization)
        key = await self._keys.get(_kid_of(token))
        if key is None:
            raise InvalidCredential("the token is not signed with a trusted key")
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=key.algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options=_OPTIONS,
            )
        except jwt.PyJWTError as error:
            raise InvalidCredential(_WHY.get(type(error), "the token is not valid")) from None
        subject = claims["sub"]
        if not 0 < len(subject) <= MAX_SUBJECT_CHARS:
            raise InvalidCredential(f"the token's subject must have 1 to {MAX_SUBJECT_CHARS} characters")
        return Caller(
            kind=CallerKind.TOKEN,
            id=subject,
            name=subject,
            scopes=_scopes_of(claims),
            allowance=self._allowance,
        )


def _kid_of(token: str) -> str:
    """What the token claims to be signed with: nothing of it is to be believed yet."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        kid = None
    if not isinstance(kid, str):
        raise InvalidCredential("not an API key of this server, nor a JWT with a kid")
    return kid


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[Scope]:
    """Those of the claims `scope` (RFC 8693) and `scp`, each a list or words in a text, that mean something here."""
    words: set[str] = set()
    for claim in (claims.get("scope"), claims.get("scp")):
        if isinstance(claim, str):
            words.update(claim.split())
        elif isinstance(claim, list):
            words.update(word for word in claim if isinstance(word, str))
    return frozenset(scope for scope in Scope if SCOPE_PREFIX + scope in words)
