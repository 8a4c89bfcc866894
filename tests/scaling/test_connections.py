"""What keeps one caller on good terms with its replicas: few calls, none for a while, a name not known yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import grpc
import pytest

from gateway.settings import TargetSettings
from gateway.tiers.channels import Tiers
from services.chassis.process.settings import SharedSettings
from services.chassis.rpc.channels import open_channel
from tests.scaling.dns import NameServer
from tests.scaling.fleet import REPLICAS, Fleet, answered_calls
from tests.support.clients import ANONYMIZER, TIMEOUT_S, detect_request, detector_at
from tests.support.processes import start, suspended

NOTICED_S = 5.0
FOUND_S = 5.0
UNKNOWN_S = 45.0
"""After this a channel left to itself would ask for the name again 17 s later, by gRPC's own rule."""
IDLE_S = 12.0
BEGIN_S = (*(0.0,) * REPLICAS, *map(float, range(1, 10)))
"""When a caller with few calls calls: each replica at once, then once a second."""

pytestmark = pytest.mark.timeout(300)

Record = Callable[[str, object], None]


async def test_caller_with_few_calls_waits_for_a_hung_replica_until_it_is_noticed(
    fleet: Fleet, picture: bytes, record_property: Record
) -> None:
    request, hung = detect_request(picture), fleet.members["detector"][0]
    async with detector_at(fleet.target("detector")) as client:

        async def timed(begin_s: float) -> float:
            await asyncio.sleep(begin_s)
            started_s = time.monotonic()
            await client.DetectFaces(request, timeout=TIMEOUT_S)
            return time.monotonic() - started_s

        before = answered_calls(hung)
        while answered_calls(hung) == before:
            await timed(0)
        with suspended(hung):
            took_s = await asyncio.gather(*map(timed, BEGIN_S))
    record_property("hung detector, one call a second: longest answer, s", round(max(took_s), 1))
    assert 1 < max(took_s) < NOTICED_S + 1


async def test_connection_without_calls_is_kept() -> None:
    """The client's pings are no more than the server allows."""
    tier = start("anonymizer", FACET_MAX_CONNECTION_AGE_S="600")
    try:
        tier.wait_ready()
        async with open_channel(tier.target, ANONYMIZER, SharedSettings()) as channel:
            await channel.channel_ready()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
    finally:
        tier.stop()


async def test_tier_that_had_no_replica_is_found_soon_after_it_has_one(fleet: Fleet, record_property: Record) -> None:
    replica = fleet.members["detector"][0]
    names = NameServer()
    try:
        targets = TargetSettings().model_copy(update={"detector_target": names.target("late.test", replica.port)})
        tiers = Tiers(targets, SharedSettings())
        known_s = time.monotonic() + UNKNOWN_S
        while time.monotonic() < known_s:
            assert not (await tiers.detector.state()).ready
            await asyncio.sleep(1)
        names.add("late.test", replica.host)
        found, known_s = False, time.monotonic()
        async with asyncio.timeout(FOUND_S):
            while not found:
                await asyncio.sleep(0.2)
                found = (await tiers.detector.state()).ready
        record_property(f"tier unknown for {UNKNOWN_S:g} s found after, s", round(time.monotonic() - known_s, 1))
        await tiers.close()
    finally:
        names.close()
