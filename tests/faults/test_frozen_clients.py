"""Clients that take nothing they are sent, at every replica of every tier: all others lose nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from grpc_health.v1 import health_pb2

from tests.faults.callers import Callers
from tests.faults.questions import Questions
from tests.faults.replicas import ready, restart, seconds_until_used
from tests.faults.table import Tell
from tests.scaling.fleet import TIERS, Fleet
from tests.support.processes import RunningTier
from tests.support.raw_http2 import RawHttp2

WATCH = "/grpc.health.v1.Health/Watch"
REQUESTS = 100
FROZEN = 8
"""At each replica, for its service and for the process itself."""

pytestmark = pytest.mark.timeout(300)


@contextmanager
def frozen_watchers(tier: str, replicas: Sequence[RunningTier]) -> Iterator[None]:
    """Watch the health of replicas and never take a status."""
    with ExitStack() as clients:
        for replica in replicas:
            for service in (f"facet.v1.{tier.title()}Service", ""):
                message = health_pb2.HealthCheckRequest(service=service).SerializeToString()
                for _ in range(FROZEN):
                    clients.enter_context(RawHttp2(replica.port, host=replica.host)).call(WATCH, message)
        yield


async def test_frozen_watchers_of_every_replica_cost_no_request_not_even_when_one_of_two_is_restarted(
    fleet: Fleet, questions: Questions, tell: Tell
) -> None:
    restarted = [fleet.members[tier][1] for tier in TIERS]
    async with Callers(fleet.members["gateway"][0].url, questions.in_turn()) as callers:
        with ExitStack() as frozen:
            frozen_s = time.monotonic()
            for tier in TIERS:
                frozen.enter_context(frozen_watchers(tier, fleet.members[tier]))
            await callers.more(REQUESTS)
            await restart(*restarted)
            await ready(*restarted)
            back_s = await seconds_until_used(*restarted)
            await callers.more(REQUESTS)
    tell("frozen watchers of every replica, one of two restarted", callers, since_s=frozen_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused() == []
