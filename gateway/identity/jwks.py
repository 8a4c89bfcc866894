"""The public keys of an identity provider (JSON Web Key Set, RFC 7517), from a file or by https."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.process.reloaded_files import ReloadedFiles

REFRESH_EVERY_S = 600.0
"""So that a key the provider took back is forgotten."""
MIN_PAUSE_S = 10.0
"""Between two fetches, whatever tokens claim to be signed with."""
FETCH_TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024
MIN_RSA_BITS = 2048

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_log = logging.getLogger("facet.identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key and what it may verify: none of the algorithms is symmetric, or `none`."""

    key: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
    algorithms: tuple[str, ...]


_Keys = Mapping[str, VerificationKey]


class KeySource(Protocol):
    """Where public keys are found."""

    async def get(self, kid: str) -> VerificationKey | None:
        """The key of that id; None where there is none.

        Raises:
            NotReady: No keys could be had yet.
        """
        ...


class JwksFile:
    """The keys in a file, which may change."""

    def __init__(self, path: Path) -> None:
        """Reads it.

        Raises:
            InvalidRequest: It cannot be read, or holds no key that can be used.
        """
        self._file = ReloadedFiles.of_one(path, read_jwks)

    async def get(self, kid: str) -> VerificationKey | None:
        """The key of that id."""
        return self._file.current().get(kid)


class JwksUrl:
    """The keys at an address: fetched in the background from the first token on, and at once for one that is not known.

    Not PyJWT's PyJWKClient: it reads answers of any size, forgets its keys at a failure once they are old, and leaves
    no pause after one, so that tokens with made-up ids have it ask without end while the provider is down.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetches nothing yet.

        Raises:
            InvalidRequest: It is not https; to this machine itself, http will do.
        """
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"no address: {error}") from error
        if parts.scheme != "https" and parts.host not in ("127.0.0.1", "::1", "localhost"):
            raise InvalidRequest("public keys are only accepted from https://")
        self._url = url
        self._clock = clock
        self._tls = httpx.create_ssl_context()  # with SSL_CERT_FILE, where a site has an authority of its own
        self._keys: _Keys | None = None
        self._fetching = asyncio.Lock()
        self._fetched_at_s = -MIN_PAUSE_S
        self._following: asyncio.Task[None] | None = None

    async def get(self, kid: str) -> VerificationKey | None:
        """The key of that id. Who shows a known one waits for no fetch."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        if self._keys is None or kid not in self._keys:
            await self._refresh()
        if self._keys is None:
            raise NotReady("the identity provider's keys could not be fetched yet; try again shortly")
        return self._keys.get(kid)

    async def _follow(self) -> None:
        """Fetches again and again, until the event loop ends."""
        while True:
            fetched = await self._refresh()
            await asyncio.sleep(REFRESH_EVERY_S if fetched else MIN_PAUSE_S)

    async def _refresh(self) -> bool:
        """Fetches once for all who wait; whether that was done and worked."""
        async with self._fetching:
            if self._clock() - self._fetched_at_s < MIN_PAUSE_S:
                return False
            self._fetched_at_s = self._clock()
            try:
                self._keys = read_jwks(await self._fetch(), self._url)
            except (httpx.HTTPError, TimeoutError, InvalidRequest) as error:
                why = str(error) or type(error).__name__
                _log.warning("public keys not fetched", extra={"fields": {"url": self._url, "why": why}})
                return False
            except Exception:  # noqa: BLE001  (whatever it is: if nobody fetched any more, withdrawn keys would stay)
                _log.exception("public keys not fetched", extra={"fields": {"url": self._url}})
                return False
            return True

    async def _fetch(self) -> bytes:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}  # what is small packed may be large
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            httpx.AsyncClient(verify=self._tls, headers=headers, trust_env=True) as client,
            client.stream("GET", self._url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise InvalidRequest(f"{self._url} answered with status {answer.status_code}")
            content = bytearray()
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise InvalidRequest(f"{self._url} answered more than {MAX_BYTES} bytes")
            return bytes(content)


def read_jwks(content: bytes, source: str) -> _Keys:
    """The keys of a set that can verify signatures, by their ids; the others, and those without one, are left out.

    Raises:
        InvalidRequest: It is no such set, or has no such key; the message names `source`.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise InvalidRequest(f"{source} is not a JSON Web Key Set")
    usable = {data["kid"]: key for data in listed if (key := _verification_key(data)) is not None}
    if not usable:
        raise InvalidRequest(f"{source} has no usable key: asymmetric, for signatures, with a kid")
    return usable


def _verification_key(data: Any) -> VerificationKey | None:  # noqa: ANN401  (JSON)
    if not isinstance(data, dict) or not isinstance(data.get("kid"), str) or data.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(data).key
    # PyJWT trusts the types of the fields, and answers a key for `alg: none` with NotImplementedError.
    except (jwt.PyJWTError, TypeError, ValueError, LookupError, AttributeError, NotImplementedError):
        return None
    algorithms = _algorithms(key)
    if "alg" in data:
        algorithms = tuple(name for name in algorithms if name == data["alg"])
    return VerificationKey(key=key, algorithms=algorithms) if algorithms else None


def _algorithms(key: object) -> tuple[str, ...]:
    """What a key may verify by what it is; nothing with a secret or private one, or one that is too weak."""
    match key:
        case RSAPublicKey() if key.key_size >= MIN_RSA_BITS:
            return _RSA
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return (_CURVES[key.curve.name],)
        case Ed25519PublicKey():
            return ("EdDSA",)
        case _:
            return ()
