"""Admits requests up to a number and a total size; the others are rejected before their body is read.

A body has to come at a pace, so that slow senders do not hold the places of others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http import problems
from gateway.http.throttled_warning import ThrottledWarning
from services.chassis.errors import Overloaded, TooSlow
from services.chassis.process.metrics import TierMetrics

GUARDED_PREFIX = "/v1/"
REFUSED = "refused"
"""In a request's state: it was not let in."""

_log = logging.getLogger("facet.admission")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What may be in hand at once."""

    requests: int
    upload_bytes: int
    """Of all bodies together; a single one is let in however large it is."""
    largest_bytes: int
    """What a body without an announced length counts as."""
    held_up: int
    """Refusals; see `Admission.hold_up`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a body has to come: within so long, and longer for every byte that came (as Apache's mod_reqtimeout)."""

    patience_s: float = 10.0
    bytes_a_second: float = 16 * 1024


class Admission:
    """What is in hand, and whether one more is let in.

    Refusals are at once while there are few of them for every answer. Clients that come again at once instead of when
    they are told would else take more and more from those that were let in: their next refusal waits that long.
    """

    at_once_per_answer: ClassVar[int] = 8
    """Twice what a 5x overload needs."""
    hold_up_s: ClassVar[float] = problems.RETRY_AFTER_S

    def __init__(self, most: Admitted, metrics: TierMetrics) -> None:
        self._most = most
        self._metrics = metrics
        self._requests = 0
        self._bytes = 0
        self._at_once = self._most_at_once = self.at_once_per_answer * most.requests
        self._held_up = 0
        self._refusals = ThrottledWarning(_log, "full", "refused")

    def refuses(self, scope: Scope) -> bool:
        """Whether this request may not come in now."""
        if not self._requests or not _is_guarded(scope):
            return False
        full = self._requests >= self._most.requests
        return full or self._bytes + self._announced_bytes(scope) > self._most.upload_bytes

    @contextmanager
    def holding(self, scope: Scope) -> Iterator[None]:
        """In hand until the block ends."""
        announced_bytes = self._announced_bytes(scope)
        self._requests += 1
        self._bytes += announced_bytes
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= announced_bytes
            self._at_once = min(self._at_once + self.at_once_per_answer, self._most_at_once)

    @property
    def holds_up(self) -> bool:
        """Whether the next refusal has to wait: there were too many, or others wait, whom nobody overtakes."""
        return (self._at_once <= 0 or self._held_up > 0) and self._held_up < self._most.held_up

    async def hold_up(self) -> None:
        """Waits; thereafter there may be room."""
        self._held_up += 1
        try:
            await asyncio.sleep(self.hold_up_s)
        finally:
            self._held_up -= 1

    def note_refusal(self) -> None:
        """Counts one."""
        self._at_once = max(0, self._at_once - 1)
        self._metrics.refusals.inc()
        self._refusals.note()

    def _announced_bytes(self, scope: Scope) -> int:
        length = Headers(raw=scope["headers"]).get("content-length", "")
        return min(int(length), self._most.largest_bytes) if length.isdecimal() else self._most.largest_bytes


class AdmissionMiddleware:
    """The layer of the application that every picture passes first."""

    def __init__(self, app: ASGIApp, admission: Admission, pace: Pace) -> None:
        self._app = app
        self._admission = admission
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if self._admission.refuses(scope) and self._admission.holds_up:
            await self._admission.hold_up()
        if not _is_guarded(scope):
            await self._app(scope, receive, send)
        elif self._admission.refuses(scope):
            self._admission.note_refusal()
            scope["state"][REFUSED] = True
            await refusal()(scope, receive, send)
        else:
            with self._admission.holding(scope):
                await self._app(scope, _Body(receive, self._pace).receive, send)


def refusal() -> Response:
    """What is answered to a request that is not let in."""
    return problems.of_error(Overloaded("the gateway's memory for pictures is full; try again shortly"))


def _is_guarded(scope: Scope) -> bool:
    guarded: bool = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(GUARDED_PREFIX)
    return guarded


class _Body:
    """A request's body as it comes, at the pace it has to."""

    def __init__(self, receive: Receive, pace: Pace) -> None:
        self._receive = receive
        self._pace = pace
        self._started_s = time.monotonic()
        self._received_bytes = 0
        self._complete = False

    async def receive(self) -> Message:
        """The next message; once the body is complete, that of a client that leaves is awaited for ever.

        Raises:
            TooSlow: It did not come in time.
        """
        if self._complete:
            return await self._receive()
        until_s = self._started_s + self._pace.patience_s + self._received_bytes / self._pace.bytes_a_second
        try:
            async with asyncio.timeout(until_s - time.monotonic()):
                message = await self._receive()
        except TimeoutError as error:
            raise TooSlow(
                f"the picture arrived slower than {self._pace.bytes_a_second / 1024:.0f} KiB a second; send it again"
            ) from error
        self._received_bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message
