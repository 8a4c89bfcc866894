"""The seam between a request's `Authorization` header and the caller behind it."""

from __future__ import annotations

from typing import Protocol

from gateway.identity.caller import Caller, CallerKind, Scope
from gateway.identity.keys import is_key
from services.chassis.errors import InvalidCredential, Unauthenticated

MAX_CREDENTIAL_CHARS = 16 * 1024
"""Of a header; tokens with long lists of groups take a few KiB."""

_ANYONE = Caller(kind=CallerKind.ANONYMOUS, id="", name=CallerKind.ANONYMOUS, scopes=frozenset(Scope), allowance=None)


class Authenticator(Protocol):
    """Knows callers."""

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller behind a request's `Authorization` header; None = it has none.

        Raises:
            Unauthenticated: It shows no key or token.
            InvalidCredential: It shows one that is not accepted.
            NotReady: Whether it is one cannot be told yet.
        """
        ...


class Anonymous:
    """Takes everyone for the same caller, who may do everything."""

    async def authenticate(self, authorization: str | None) -> Caller:  # noqa: ARG002  (the Protocol's)
        """The one caller."""
        return _ANYONE


class KeysOrTokens:
    """Takes API keys and OIDC tokens; a key is known by how it begins."""

    def __init__(self, keys: Authenticator, tokens: Authenticator) -> None:
        self._keys = keys
        self._tokens = tokens

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller that whichever of them is in charge knows."""
        in_charge = self._keys if is_key(bearer_of(authorization)) else self._tokens
        return await in_charge.authenticate(authorization)


def bearer_of(authorization: str | None) -> str:
    """The key or token of an `Authorization` header (RFC 6750, section 2.1).

    Raises:
        Unauthenticated: It has none.
        InvalidCredential: It is longer than any.
    """
    scheme, _, credential = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthenticated("this server requires authentication: send a key or token as `Authorization: Bearer …`")
    if len(credential) > MAX_CREDENTIAL_CHARS:
        raise InvalidCredential(f"the key or token is longer than {MAX_CREDENTIAL_CHARS} characters")
    return credential.strip()
