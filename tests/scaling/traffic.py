"""Callers that anonymize and embed one picture over and over, and look at every answer."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

import httpx

from tests.scaling.ingress import Ingress


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request that has ended."""

    started_s: float
    """By `time.monotonic`."""
    ended_s: float
    failure: str
    """Empty where the answer was right."""


class Traffic:
    """Requests until it is left: every `embed_every`-th embeds, all others anonymize."""

    def __init__(self, ingress: Ingress, picture: bytes, *, callers: int, embed_every: int) -> None:
        self.answered: list[Answered] = []
        self._ingress = ingress
        self._picture = picture
        self._callers = callers
        self._embed_every = embed_every
        self._numbers = itertools.count(1)
        self._leaving = False
        self._ended = asyncio.Condition()

    async def __aenter__(self) -> Self:
        """Starts the callers."""
        self._tasks = [asyncio.create_task(self._keep_calling()) for _ in range(self._callers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Waits for the requests in flight."""
        self._leaving = True
        await asyncio.gather(*self._tasks)

    async def until(self, count: int) -> None:
        """Waits until so many requests have ended since the start."""
        async with self._ended:
            await self._ended.wait_for(lambda: len(self.answered) >= count)

    async def more(self, count: int) -> None:
        """Waits until so many more have ended."""
        await self.until(len(self.answered) + count)

    def failures(self, *, after_s: float = 0.0) -> list[str]:
        """What went wrong in requests that ended after a moment."""
        return [answer.failure for answer in self.answered if answer.failure and answer.ended_s > after_s]

    async def _keep_calling(self) -> None:
        while not self._leaving:
            started_s = time.monotonic()
            try:
                failure = await self._request(next(self._numbers))
            except httpx.TransportError as error:
                failure = repr(error)
            async with self._ended:
                self.answered.append(Answered(started_s=started_s, ended_s=time.monotonic(), failure=failure))
                self._ended.notify_all()

    async def _request(self, number: int) -> str:
        if number % self._embed_every:
            answer = await self._ingress.post("/v1/anonymize", self._picture, recall="fast")
            right = answer.headers.get("x-facet-faces") == "1" and answer.content != self._picture
        else:
            answer = await self._ingress.post("/v1/embed", self._picture, recall="fast")
            right = answer.status_code == HTTPStatus.OK and len(answer.json()["faces"][0]["embedding"]) > 1
        return "" if right else f"{answer.status_code} {answer.text[:300]}"
