"""Callers that ask their questions over and over and judge every answer."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from types import TracebackType
from typing import Self

import httpx

from tests.faults.questions import Question

CALLERS = 6
PAUSE_S = 0.1
"""Between an answer and the caller's next request: the load is to be steady, not the most there can be."""
ANSWER_TIMEOUT_S = 90.0
"""Longer than the gateway's own deadline, which is to come first."""
_PASSING = {
    HTTPStatus.TOO_MANY_REQUESTS: "OVERLOADED",
    HTTPStatus.SERVICE_UNAVAILABLE: "NOT_READY",
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_PASSED",
}
"""What a request may fail with while a part is broken."""


class Verdict(Enum):
    RIGHT = auto()
    REFUSED = auto()
    """An honest error."""
    WRONG = auto()
    LET_THROUGH = auto()
    """A face that was to be hidden can be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One request that has ended."""

    mark: str
    """Its request id, which no other has."""
    started_s: float
    """By `time.monotonic`."""
    ended_s: float
    question: Question
    verdict: Verdict
    status: int
    """0 where there was no answer."""
    detail: str
    """What an error said, or what was wrong."""


class Callers:
    """Ask until they are left."""

    def __init__(self, url: str, questions: Sequence[Question], *, timeout_s: float | None = None) -> None:
        """`timeout_s` is what each request asks for with `X-Facet-Timeout`."""
        self.outcomes: list[Outcome] = []
        self._turns = itertools.cycle(questions)
        self._timeout = {} if timeout_s is None else {"X-Facet-Timeout": str(timeout_s)}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._client = httpx.AsyncClient(base_url=url, limits=limits, timeout=ANSWER_TIMEOUT_S, trust_env=False)
        self._leaving = False
        self._ended = asyncio.Condition()

    async def __aenter__(self) -> Self:
        """Starts them, and returns when their connections are made."""
        self._tasks = [asyncio.create_task(self._keep_asking()) for _ in range(CALLERS)]
        await self.more(3 * CALLERS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Waits for the answers to come."""
        self._leaving = True
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    async def more(self, count: int) -> None:
        """Waits until so many more requests have ended."""
        until = len(self.outcomes) + count
        async with self._ended:
            await self._ended.wait_for(lambda: len(self.outcomes) >= until)

    def refused(self, *, after_s: float = 0.0) -> list[Outcome]:
        """The honest errors, of requests that ended after a moment."""
        return [one for one in self.outcomes if one.verdict is Verdict.REFUSED and one.ended_s > after_s]

    def dishonest(self) -> list[Outcome]:
        """All that there must never be."""
        return [one for one in self.outcomes if one.verdict in (Verdict.WRONG, Verdict.LET_THROUGH)]

    def longest_s(self) -> float:
        """How long the slowest request took."""
        return max(one.ended_s - one.started_s for one in self.outcomes)

    def statuses(self) -> str:
        """The honest errors by their status: `503: 4, 504: 1`."""
        counted = sorted(Counter(one.status for one in self.refused()).items())
        return ", ".join(f"{status}: {count}" for status, count in counted)

    async def _keep_asking(self) -> None:
        while not self._leaving:
            outcome = await self._ask(next(self._turns))
            async with self._ended:
                self.outcomes.append(outcome)
                self._ended.notify_all()
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, question: Question) -> Outcome:
        request = question.request(self._client)
        mark = uuid.uuid4().hex
        request.headers.update({"X-Request-Id": mark, **self._timeout})
        started_s = time.monotonic()
        status, detail = 0, ""
        try:
            answer = await self._client.send(request)
        except httpx.TransportError as error:
            verdict, detail = Verdict.WRONG, repr(error)
        else:
            status = answer.status_code
            verdict, detail = _judged(question, answer, mark)
        return Outcome(
            mark=mark,
            started_s=started_s,
            ended_s=time.monotonic(),
            question=question,
            verdict=verdict,
            status=status,
            detail=detail,
        )


def _judged(question: Question, answer: httpx.Response, mark: str) -> tuple[Verdict, str]:
    if answer.headers.get("x-request-id") != mark:
        return Verdict.WRONG, "the answer of another request"
    if answer.status_code == HTTPStatus.OK:
        if question.is_right(answer):
            return Verdict.RIGHT, ""
        if question.shows_face(answer):
            return Verdict.LET_THROUGH, ""
        return Verdict.WRONG, "not what it was undisturbed"
    if answer.headers.get("content-type") != "application/problem+json":
        return Verdict.WRONG, f"{answer.status_code} {answer.text[:300]}"
    problem = answer.json()
    honest = (
        problem["type"] == f"urn:facet:error:{_PASSING.get(HTTPStatus(answer.status_code))}"
        and problem["status"] == answer.status_code
        and problem["request_id"] == mark
        and problem["detail"]
    )
    return (Verdict.REFUSED, problem["detail"]) if honest else (Verdict.WRONG, answer.text[:300])
