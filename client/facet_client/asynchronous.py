"""`AsyncFacet`: sends calls over pooled connections, again where that helps, within a time-out."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from facet_client import calls
from facet_client.api import AnonymizeAnswer, CompareAnswer, DetectAnswer, EmbedAnswer, ModelAnswer, ReadyAnswer
from facet_client.calls import Call
from facet_client.errors import DeadlinePassedError, InvalidRequestError, NotReadyError, OverloadedError
from facet_client.options import DETECTION_DEFAULTS, REDACTION_DEFAULTS, DetectionOptions, RedactionOptions
from facet_client.version import __version__

Result = TypeVar("Result")

KEY_VARIABLE = "FACET_KEY"
TIMEOUT_HEADER = "X-Facet-Timeout"
SHORTEST_TIMEOUT_S = 0.001
CONNECT_TIMEOUT_S = 10.0
IDLE_CONNECTION_S = 4.0
"""Less than servers and proxies keep theirs: where they close first, a request may meet a closed door."""
OVERLOADED_ATTEMPTS = 10
NOT_READY_ATTEMPTS = 4
BROKEN_CONNECTION_ATTEMPTS = 2
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
JITTER = 0.5
"""Pauses are up to so much longer, by chance, so that clients refused together do not come back together."""
_NO_STREAM = httpx.ByteStream(b"")


class AsyncFacet:
    """A gateway, from asyncio code; an async context manager.

    Many calls may run at once. Calls that the gateway was too busy for are repeated as it asks, within the time-out.
    Proxies that the environment names are not used: pictures go to the gateway alone.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        ca: Path | None = None,
        connections: int = 32,
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: The gateway's address, such as http://localhost:8080.
            key: An API key; None = what FACET_KEY holds, if anything.
            timeout_s: How long one call may take, with waiting for a connection and repeating.
            ca: A PEM file with the authority to trust for https; None = the system's.
            connections: How many at most; further calls wait for one.

        Raises:
            InvalidRequestError: The address, the key or the authority cannot be one.
        """
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            base_url=_checked(self._url),
            headers=_headers(key),
            verify=_trust(ca),
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE_CONNECTION_S
            ),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        """Nothing to do: connections are made when first used."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def anonymize(  # noqa: PLR0913
        self,
        picture: bytes,
        *,
        redaction: RedactionOptions = REDACTION_DEFAULTS,
        detection: DetectionOptions = DETECTION_DEFAULTS,
        verify: bool = False,
        keep: Sequence[bytes] = (),
        only: Sequence[bytes] = (),
        receipt: bool = False,
        faces: DetectAnswer | None = None,
    ) -> AnonymizeAnswer:
        """Makes the faces of a picture unrecognisable.

        Args:
            picture: An encoded file: JPEG, PNG, WebP, BMP, TIFF or HEIC.
            redaction: How to hide.
            detection: Which faces to look for.
            verify: Search the result again and hide more strongly what still shows.
            keep: Hide everyone but these people: each a picture of one, or the JSON of an embedding.
            only: Hide these people alone, likewise; excludes `keep`.
            receipt: Answer a signed receipt of what was hidden, too.
            faces: Hide exactly these, as `detect` answered them and somebody corrected them; None = search for them.

        Raises:
            InvalidRequestError: The picture or an option cannot be used; a subclass says more.
            StillRecognisableError: The check still finds someone, however strongly they were hidden.
            OverloadedError: The gateway stayed too busy.
            NotReadyError: Nothing answers at the address, or a tier is down; the message says what to do.
            DeadlinePassedError: The time-out, or the gateway's own.
            UnexpectedAnswerError: The gateway failed, or is none.
        """
        return await self._send(
            calls.anonymize(
                picture, redaction, detection, verify=verify, keep=keep, only=only, receipt=receipt, faces=faces
            )
        )

    async def detect(self, picture: bytes, *, detection: DetectionOptions = DETECTION_DEFAULTS) -> DetectAnswer:
        """Finds the faces of an encoded picture.

        Raises:
            ServiceError: As `anonymize`.
        """
        return await self._send(calls.detect(picture, detection))

    async def embed(self, picture: bytes, *, detection: DetectionOptions = DETECTION_DEFAULTS) -> EmbedAnswer:
        """Finds the faces of an encoded picture and embeds each.

        Raises:
            ServiceError: As `anonymize`.
        """
        return await self._send(calls.embed(picture, detection))

    async def compare(
        self, picture_a: bytes, picture_b: bytes, *, detection: DetectionOptions = DETECTION_DEFAULTS
    ) -> CompareAnswer:
        """Tells whether the largest faces of two encoded pictures are one person's.

        Raises:
            InvalidRequestError: A picture cannot be used or shows no face; the message names which.
            ServiceError: As `anonymize`.
        """
        return await self._send(calls.compare(picture_a, picture_b, detection))

    async def models(self) -> tuple[ModelAnswer, ...]:
        """Lists the models that the tiers know.

        Raises:
            ServiceError: As `anonymize`.
        """
        return await self._send(calls.models())

    async def ready(self) -> ReadyAnswer:
        """Asks whether pictures can be anonymized. That they cannot is an answer, no error.

        Raises:
            NotReadyError: Nothing answers at the address.
            UnexpectedAnswerError: What answers is no gateway.
        """
        return await self._send(calls.ready())

    async def _send(self, call: Call[Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                return await self._persist(call, limit)
        except TimeoutError as error:
            raise DeadlinePassedError(f"{self._url} gave no answer within {self._timeout_s:g} s") from error

    async def _persist(self, call: Call[Result], limit: asyncio.Timeout) -> Result:
        """Sends until there is an answer, or until repeating does not help any more."""
        until = limit.when() or 0.0
        refused, broken = 0, 0
        while True:
            try:
                return call.read(await self._request(call, until))
            except (OverloadedError, NotReadyError) as error:
                refused += 1
                attempts = OVERLOADED_ATTEMPTS if isinstance(error, OverloadedError) else NOT_READY_ATTEMPTS
                if error.retry_after_s is None or refused >= attempts:
                    raise
                pause_s = _pause_s(refused, error.retry_after_s)
                if asyncio.get_running_loop().time() + pause_s >= until:  # it says more than a time-out would
                    raise
                await asyncio.sleep(pause_s)
            except httpx.HTTPError as error:
                broken += 1
                if broken >= BROKEN_CONNECTION_ATTEMPTS:
                    raise NotReadyError(f"{self._url} ends the connection without an answer: {error!r}") from error

    async def _request(self, call: Call[Result], until: float) -> httpx.Response:
        left_s = max(until - asyncio.get_running_loop().time(), SHORTEST_TIMEOUT_S)
        try:
            answer = await self._client.request(
                call.method,
                call.path,
                params=call.query,
                content=call.picture,
                files=call.parts,
                headers={TIMEOUT_HEADER: f"{left_s:.3f}"},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotReadyError(f"{self._url} cannot be reached ({error}); is a gateway running there?") from error
        # It refers to the answer, which would keep both pictures until the garbage collector comes by.
        answer.stream = _NO_STREAM
        return answer


def _pause_s(refused: int, retry_after_s: float) -> float:
    """How long to wait after the so manieth refusal, from 1 on."""
    pause_s = max(retry_after_s, min(FIRST_PAUSE_S * 2.0 ** (refused - 1), LONGEST_PAUSE_S))
    return pause_s * random.uniform(1, 1 + JITTER)  # noqa: S311  (spreads load; no secret)


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _no_address(url) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise _no_address(url)
    if parsed.userinfo:  # messages tell the address, and a command line is for everyone to read
        raise InvalidRequestError(f"an address tells no secrets; {KEY_VARIABLE} may hold an API key")
    return url


def _no_address(url: str) -> InvalidRequestError:
    return InvalidRequestError(f"{url!r} is not the address of a gateway; give one such as http://localhost:8080")


def _headers(key: str | None) -> dict[str, str]:
    told = (os.environ.get(KEY_VARIABLE, "") if key is None else key).strip()
    if not (told.isascii() and told.isprintable()):  # httpx would quote it in its own error
        raise InvalidRequestError("the API key has characters that no key has")
    agent = {"User-Agent": f"facet-client/{__version__}"}
    return agent | ({"Authorization": f"Bearer {told}"} if told else {})


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequestError(f"{ca} is no PEM file of certificates: {error}") from error
