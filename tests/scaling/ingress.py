"""What stands before gateways: takes them in turn, keeps connections alive, sends again only what was never sent."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from tests.support.processes import RunningTier

ANSWER_TIMEOUT_S = 60.0


class Ingress:
    """Spreads requests over the gateways of a list that changes under it."""

    def __init__(self, gateways: list[RunningTier]) -> None:
        self.refused_connections = 0
        """Sent to the next gateway instead; nothing of the request had left."""
        self.closed_connections = 0
        """Closed by a gateway after its answer."""
        self._gateways = gateways
        self._turn = 0
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._client = httpx.AsyncClient(limits=limits, timeout=ANSWER_TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def post(self, path: str, content: bytes, **parameters: str) -> httpx.Response:
        """A gateway's answer.

        Raises:
            httpx.TransportError: The connection broke, or every gateway refused one.
        """
        self._turn += 1
        known = self._gateways.copy()  # the list may change while an answer is awaited
        first = self._turn % len(known)
        for gateway in known[first:] + known[:first]:
            try:
                answer = await self._client.post(f"{gateway.url}{path}", content=content, params=parameters)
            except httpx.ConnectError:
                self.refused_connections += 1
            else:
                self.closed_connections += answer.headers.get("connection") == "close"
                return answer
        raise httpx.ConnectError("every gateway refused a connection")
