"""A node whose packets are dropped: neither side is told that the other is gone."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.callers import Callers
from tests.faults.node import Node
from tests.faults.questions import Questions
from tests.faults.replicas import seconds_until_used, stop
from tests.faults.table import Tell
from tests.scaling.fleet import TIERS, Fleet
from tests.support.processes import RunningTier

NOTICED_S = 5.0
LONGEST_S = 9.0
"""Of one request: until it is noticed, and what a busy machine takes to do the work again elsewhere."""
CUT_OFF_S = 14.0

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("as_root")]


def started_on(node: Node, fleet: Fleet) -> list[RunningTier]:
    """A replica of every tier on a node."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda tier: fleet.start(tier, node.prefix, FACET_HOST=node.address), TIERS))


async def test_node_that_is_cut_off_costs_nothing_once_it_is_noticed(
    fleet: Fleet, questions: Questions, tell: Tell
) -> None:
    """It has one of the two replicas of every tier."""
    with Node() as node:
        there = await asyncio.to_thread(started_on, node, fleet)
        here = [fleet.members[tier][1] for tier in TIERS]
        try:
            for tier, old, new in zip(TIERS, here, there, strict=True):
                fleet.publish(tier, new)
                fleet.withdraw(tier, old)
            async with Callers(fleet.members["gateway"][0].url, questions.in_turn()) as callers:
                await seconds_until_used(*there)
                cut_off_s = time.monotonic()
                with node.cut_off():
                    with pytest.raises(TimeoutError):
                        socket.create_connection((node.address, there[0].port), timeout=1)
                    await asyncio.sleep(CUT_OFF_S)
                back_s = await seconds_until_used(*there)
        finally:
            for tier, old, new in zip(TIERS, here, there, strict=True):
                fleet.publish(tier, old)
                fleet.withdraw(tier, new)
            await stop(*there)
    tell("node with a replica of every tier cut off", callers, since_s=cut_off_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused(after_s=cut_off_s + NOTICED_S) == []
    assert callers.longest_s() < LONGEST_S
