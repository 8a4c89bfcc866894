"""Replicas killed, hung, restarted and slow, one of two, and a whole tier gone."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import httpx
import pytest

from tests.faults.callers import Callers
from tests.faults.questions import Hide, Questions
from tests.faults.replicas import ready, restart, seconds_until_used
from tests.faults.table import Tell
from tests.scaling.fleet import TIERS, Fleet
from tests.support.processes import RunningTier, suspended

NOTICED_S = 5.0
"""By then a replica that hangs has been given up, and what waited for it was sent to the other."""
HUNG_S = 8.0
REQUESTS = 100
SLOW_AWAKE_S = 0.05
SLOW_ASLEEP_S = 0.95
SLOW_S = 8.0
PATIENCE_S = 3.0
"""What callers of slow replicas ask for with their requests."""
LATE_S = 1.0
"""How far past its deadline an answer may come on a busy machine."""
BACK_S = 5.0
"""After this a tier that was gone answers again."""

pytestmark = pytest.mark.timeout(300)


def callers_of(fleet: Fleet, questions: Questions, *, timeout_s: float | None = None) -> Callers:
    return Callers(fleet.members["gateway"][0].url, questions.in_turn(), timeout_s=timeout_s)


@contextmanager
def killed(*replicas: RunningTier) -> Iterator[None]:
    """Ends replicas in the middle of their work; starts them again at the same addresses, as Kubernetes does."""
    for replica in replicas:
        replica.signal(signal.SIGKILL)
    for replica in replicas:
        replica.wait()
    try:
        yield
    finally:
        for replica in replicas:
            replica.restart()
        for replica in replicas:
            replica.wait_ready()


@asynccontextmanager
async def slow(replicas: list[RunningTier]) -> AsyncIterator[None]:
    """Has them sleep most of the time, but never so long that they count as hung."""

    async def doze() -> None:
        while True:
            with ExitStack() as asleep:
                for replica in replicas:
                    asleep.enter_context(suspended(replica))
                await asyncio.sleep(SLOW_ASLEEP_S)
            await asyncio.sleep(SLOW_AWAKE_S)

    dozing = asyncio.create_task(doze())
    try:
        yield
    finally:
        dozing.cancel()
        await asyncio.gather(dozing, return_exceptions=True)


@pytest.mark.parametrize("tier", TIERS)
async def test_killed_replica_costs_no_request(fleet: Fleet, questions: Questions, tell: Tell, tier: str) -> None:
    replica = fleet.members[tier][1]
    async with callers_of(fleet, questions) as callers:
        killed_s = time.monotonic()
        with killed(replica):
            await callers.more(REQUESTS)
        back_s = await seconds_until_used(replica)
    tell(f"SIGKILL of a replica: {tier}", callers, since_s=killed_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused() == []


@pytest.mark.parametrize("tier", TIERS)
async def test_hung_replica_costs_nothing_once_it_is_noticed(
    fleet: Fleet, questions: Questions, tell: Tell, tier: str
) -> None:
    replica = fleet.members[tier][1]
    async with callers_of(fleet, questions) as callers:
        hung_s = time.monotonic()
        with suspended(replica):
            await asyncio.sleep(HUNG_S)
        back_s = await seconds_until_used(replica)
    tell(f"SIGSTOP of a replica: {tier}", callers, since_s=hung_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused(after_s=hung_s + NOTICED_S) == []


async def test_restart_of_one_replica_of_every_tier_costs_no_request(
    fleet: Fleet, questions: Questions, tell: Tell
) -> None:
    replicas = [fleet.members[tier][1] for tier in TIERS]
    async with callers_of(fleet, questions) as callers:
        stopped_s = time.monotonic()
        await restart(*replicas)
        await ready(*replicas)
        back_s = await seconds_until_used(*replicas)
    tell("restart of a replica of every tier", callers, since_s=stopped_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused() == []


async def test_slow_replica_of_every_tier_delays_its_own_callers_and_never_past_their_deadline(
    fleet: Fleet, questions: Questions, tell: Tell
) -> None:
    replicas = [fleet.members[tier][1] for tier in TIERS]
    async with callers_of(fleet, questions, timeout_s=PATIENCE_S) as callers:
        slow_s = time.monotonic()
        async with slow(replicas):
            await asyncio.sleep(SLOW_S)
        quick_s = time.monotonic()
        back_s = await seconds_until_used(*replicas)
        await callers.more(REQUESTS)
    tell("slow replica of every tier", callers, since_s=slow_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.longest_s() < PATIENCE_S + LATE_S
    assert len(callers.refused()) < len(callers.outcomes) / 2  # the other replica serves as ever
    assert callers.refused(after_s=quick_s + PATIENCE_S) == []


@pytest.mark.parametrize("tier", TIERS)
async def test_requests_that_need_a_tier_that_is_gone_fail_and_no_others(
    fleet: Fleet, questions: Questions, tell: Tell, tier: str
) -> None:
    replicas = fleet.members[tier]
    async with callers_of(fleet, questions) as callers:
        gone_s = time.monotonic()
        with killed(*replicas):
            await callers.more(REQUESTS)
        here_s = time.monotonic()
        back_s = await seconds_until_used(*replicas)
        await callers.more(REQUESTS)
    tell(f"SIGKILL of both replicas: {tier}", callers, since_s=gone_s, back_s=back_s)
    assert callers.dishonest() == []
    assert {one.status for one in callers.refused()} == {httpx.codes.SERVICE_UNAVAILABLE}
    assert all(f"the {tier} does not answer" in one.detail for one in callers.refused())
    assert callers.refused(after_s=here_s + BACK_S) == []
    failed = [one.question for one in callers.refused()]
    if tier == "embedder":
        assert not any(isinstance(question, Hide) and question.person is None for question in failed)
    if tier == "anonymizer":
        assert all(isinstance(question, Hide) for question in failed)
