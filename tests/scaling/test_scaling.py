"""Replicas come, go, die and hang under load: each bears its share, and no request is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.scaling.fleet import TIERS, Fleet, answered_calls
from tests.scaling.ingress import Ingress
from tests.scaling.traffic import Traffic
from tests.support.processes import RunningTier, suspended

CALLERS = 6
UNEVEN = 0.05
"""How far a replica's calls may be from the mean of its tier, as a share of it."""
SETTLED_S = 15.0
"""By then a new replica bears its share, a removed one nothing, and one that hung is back."""
NOTICED_S = 5.0
"""By then a replica that hangs has been given up."""
HUNG_S = 20.0
WINDOW_REQUESTS = 1_800
ROLLOUT_REQUESTS = 5_000
POLL_S = 0.25

pytestmark = pytest.mark.timeout(600)

Record = Callable[[str, object], None]


@asynccontextmanager
async def traffic_to(fleet: Fleet, picture: bytes, *, embed_every: int) -> AsyncIterator[tuple[Traffic, Ingress]]:
    async with (
        Ingress(fleet.members["gateway"]) as ingress,
        Traffic(ingress, picture, callers=CALLERS, embed_every=embed_every) as traffic,
    ):
        await traffic.until(10 * CALLERS)  # all connections are made
        yield traffic, ingress


async def shares(fleet: Fleet, traffic: Traffic) -> dict[str, list[int]]:
    """How many calls each replica of each tier answers in a window of requests."""
    replicas = [(tier, replica) for tier in TIERS for replica in fleet.members[tier]]
    before = [answered_calls(replica) for _, replica in replicas]
    await traffic.more(WINDOW_REQUESTS)
    answered = [answered_calls(replica) - calls for (_, replica), calls in zip(replicas, before, strict=True)]
    return {tier: [a for (t, _), a in zip(replicas, answered, strict=True) if t == tier] for tier in TIERS}


def unevenness(calls: list[int]) -> float:
    """The largest distance from the mean, as a share of it."""
    mean = sum(calls) / len(calls)
    return max(abs(count - mean) for count in calls) / mean


async def growth_times(replicas: list[RunningTier], watched_s: float) -> list[list[float]]:
    """For each replica, at which seconds from now its calls were seen to have grown."""
    started_s = time.monotonic()
    seen = [answered_calls(replica) for replica in replicas]
    grown: list[list[float]] = [[] for _ in replicas]
    while (passed_s := time.monotonic() - started_s) < watched_s:
        for index, replica in enumerate(replicas):
            calls = await asyncio.to_thread(answered_calls, replica)
            if calls > seen[index]:
                grown[index].append(passed_s)
            seen[index] = calls
        await asyncio.sleep(POLL_S)
    return grown


async def test_three_replicas_of_each_tier_bear_the_same_load(
    fleet: Fleet, picture: bytes, record_property: Record
) -> None:
    async with traffic_to(fleet, picture, embed_every=3) as (traffic, _):
        calls = await shares(fleet, traffic)
    assert traffic.failures() == []
    for tier in TIERS:
        record_property(f"calls of three {tier}s", calls[tier])
        assert unevenness(calls[tier]) <= UNEVEN


async def test_fourth_replica_bears_its_share_and_a_removed_one_nothing(
    fleet: Fleet, picture: bytes, record_property: Record
) -> None:
    added = [await asyncio.to_thread(fleet.start, tier) for tier in TIERS]
    async with traffic_to(fleet, picture, embed_every=3) as (traffic, _):
        for tier, replica in zip(TIERS, added, strict=True):
            fleet.publish(tier, replica)
        used = await growth_times(added, SETTLED_S)
        calls = await shares(fleet, traffic)

        for tier, replica in zip(TIERS, added, strict=True):
            fleet.withdraw(tier, replica)
        left = await growth_times(added, SETTLED_S)
        before = [answered_calls(replica) for replica in added]
        await traffic.more(WINDOW_REQUESTS)
        after = [answered_calls(replica) for replica in added]

    assert traffic.failures() == []
    for index, tier in enumerate(TIERS):
        record_property(f"fourth {tier} used after, s", round(min(used[index]), 1))
        record_property(f"calls of four {tier}s then", calls[tier])
        record_property(f"removed {tier} used until, s", round(max(left[index], default=0), 1))
        assert unevenness(calls[tier]) <= UNEVEN
    assert after == before
    for replica in added:
        replica.signal(signal.SIGTERM)


async def test_no_request_is_lost_in_a_rolling_restart_of_everything(
    fleet: Fleet, picture: bytes, record_property: Record
) -> None:
    async with traffic_to(fleet, picture, embed_every=9) as (traffic, ingress):
        for name in (*TIERS, "gateway"):
            for _ in fleet.members[name].copy():
                assert await asyncio.to_thread(fleet.replace, name) == 0
        await traffic.until(ROLLOUT_REQUESTS)
    record_property("rolling restart: requests", len(traffic.answered))
    record_property("rolling restart: failed", len(traffic.failures()))
    record_property("rolling restart: connections closed with their answer", ingress.closed_connections)
    record_property("rolling restart: connections refused, sent elsewhere", ingress.refused_connections)
    record_property("rolling restart: longest answer, s", longest_s(traffic))
    assert traffic.failures() == []
    assert ingress.closed_connections > 0


@pytest.mark.parametrize("tier", TIERS)
async def test_no_request_is_lost_when_a_replica_is_killed(
    fleet: Fleet, picture: bytes, record_property: Record, tier: str
) -> None:
    killed = fleet.members[tier][0]
    async with traffic_to(fleet, picture, embed_every=3) as (traffic, _):
        killed.signal(signal.SIGKILL)
        await traffic.more(WINDOW_REQUESTS // 3)
        fleet.withdraw(tier, killed)
        fleet.publish(tier, await asyncio.to_thread(fleet.start, tier))
        await traffic.more(WINDOW_REQUESTS // 3)
    record_property(f"killed {tier}: failed of {len(traffic.answered)}", len(traffic.failures()))
    assert traffic.failures() == []


@pytest.mark.parametrize("tier", TIERS)
async def test_replica_that_hangs_is_given_up_and_comes_back(
    fleet: Fleet, picture: bytes, record_property: Record, tier: str
) -> None:
    hung = fleet.members[tier][0]
    async with traffic_to(fleet, picture, embed_every=3) as (traffic, _):
        with suspended(hung):
            hung_s = time.monotonic()
            await asyncio.sleep(HUNG_S)
        [back] = await growth_times([hung], SETTLED_S)
    record_property(f"hung {tier}: failed of {len(traffic.answered)}", len(traffic.failures()))
    record_property(f"hung {tier}: of them after {NOTICED_S:g} s", len(traffic.failures(after_s=hung_s + NOTICED_S)))
    record_property(f"hung {tier}: longest answer, s", longest_s(traffic))
    assert traffic.failures(after_s=hung_s + NOTICED_S) == []
    assert max(back, default=0.0) > SETTLED_S / 2  # more than the calls that it had before it hung


def longest_s(traffic: Traffic) -> float:
    """How long the slowest answer took."""
    return round(max(answer.ended_s - answer.started_s for answer in traffic.answered), 1)
