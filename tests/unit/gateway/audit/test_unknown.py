"""Refused calls of callers nobody knows: few lines however many there are, and a count that leaves none out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.audit.chain import Anchor
from gateway.audit.file import Fields
from gateway.audit.unknown import UnknownCallers
from services.chassis.errors import NotReady
from tests.support.waiting import eventually_async


class Entered:
    """What was entered; refuses while the disk is full."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self.full = False
        self.tried = 0

    async def enter(self, fields: Fields) -> Anchor:
        self.tried += 1
        if self.full:
            raise NotReady("full")
        self.lines.append(fields)
        return Anchor(seq=len(self.lines), hash="0" * 64)

    @property
    def counted(self) -> int:
        return sum(line.get("count", 1) for line in self.lines)


class Quick(UnknownCallers):
    count_s = 0.02


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def refused(outcome: str = "UNAUTHENTICATED", address: str = "10.0.0.1", operation: str = "detect") -> Fields:
    return {"event": "call", "outcome": outcome, "operation": operation, "address": address}


@pytest.fixture
def entered() -> Entered:
    return Entered()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def unknown(entered: Entered, clock: Clock) -> AsyncIterator[UnknownCallers]:
    unknown = Quick(entered.enter, clock=clock)
    yield unknown
    await unknown.close()


async def test_few_refused_calls_have_lines_of_their_own(unknown: UnknownCallers, entered: Entered) -> None:
    for _ in range(unknown.burst):
        assert await unknown.enter(refused()) is not None
    assert [line["event"] for line in entered.lines] == ["call"] * unknown.burst


async def test_many_are_counted_in_one_line(unknown: UnknownCallers, entered: Entered) -> None:
    for number in range(5000):
        outcome = "INVALID_CREDENTIAL" if number % 2 else "UNAUTHENTICATED"
        await unknown.enter(refused(outcome, f"10.0.{number % 256}.1", ("detect", "embed")[number % 2]))
    await eventually_async(lambda: len(entered.lines) > unknown.burst)
    [line] = entered.lines[unknown.burst :]
    assert line["event"] == "refused"
    assert line["count"] == 5000 - unknown.burst
    assert line["outcomes"] == {"UNAUTHENTICATED": line["count"] / 2, "INVALID_CREDENTIAL": line["count"] / 2}
    assert line["operations"] == {"detect": line["count"] / 2, "embed": line["count"] / 2}
    assert len(line["addresses"]) == unknown.most_addresses


async def test_lines_of_their_own_come_back_with_time(unknown: UnknownCallers, clock: Clock) -> None:
    for _ in range(unknown.burst):
        await unknown.enter(refused())
    assert await unknown.enter(refused()) is None
    clock.now_s += unknown.refill_s
    assert await unknown.enter(refused()) is not None
    assert await unknown.enter(refused()) is None


async def test_count_that_cannot_be_written_is_in_the_next_line(unknown: UnknownCallers, entered: Entered) -> None:
    for _ in range(unknown.burst):
        await unknown.enter(refused())
    entered.full = True
    for _ in range(20):
        await unknown.enter(refused())
    tried = entered.tried
    await eventually_async(lambda: entered.tried >= tried + 2)
    await unknown.enter(refused())
    entered.full = False
    await eventually_async(lambda: entered.counted == unknown.burst + 21)


async def test_what_is_counted_is_entered_at_the_end(entered: Entered, clock: Clock) -> None:
    unknown = UnknownCallers(entered.enter, clock=clock)
    for _ in range(unknown.burst + 7):
        await unknown.enter(refused())
    await asyncio.sleep(0)
    await unknown.close()
    assert entered.counted == unknown.burst + 7
