"""What becomes of a call whose replica ends while it works on it: sent again once at most, never to the last one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
import pytest

from facet.v1 import detector_pb2 as pb
from facet.v1 import image_pb2
from gateway.settings import TargetSettings
from gateway.tiers.channels import Tiers
from gateway.tiers.deadline import Deadline
from services.chassis.errors import NotReady
from services.chassis.process.settings import SharedSettings
from tests.support.clients import detector_at
from tests.support.processes import RunningTier
from tests.support.waiting import eventually

WITHIN_S = 20.0


@contextmanager
def replicas(count: int) -> Iterator[list[RunningTier]]:
    running = [RunningTier("tests.support.mortal_tier", {"FACET_DRAIN_S": "0"}) for _ in range(count)]
    try:
        for one in running:
            one.wait_ready()
        yield running
    finally:
        for one in running:
            one.stop()


@asynccontextmanager
async def tiers_of(running: list[RunningTier]) -> AsyncIterator[Tiers]:
    """All of them connected."""
    target = "ipv4:" + ",".join(one.target for one in running)
    tiers = Tiers(TargetSettings(detector_target=target), SharedSettings())
    try:
        async with asyncio.timeout(WITHIN_S):
            met: set[str] = set()
            while len(met) < len(running):
                met.add(await ask(tiers, b"hello"))
        yield tiers
    finally:
        await tiers.close()


async def ask(tiers: Tiers, content: bytes) -> str:
    request = pb.DetectFacesRequest(image=image_pb2.Image(content=content))
    answer = await tiers.detector.call(tiers.detector_stub.DetectFaces, request, Deadline(WITHIN_S))
    return answer.model_id


def alive(running: list[RunningTier]) -> list[RunningTier]:
    return [one for one in running if one.process.poll() is None]


async def test_a_picture_that_ends_replicas_ends_two_of_many_at_most() -> None:
    with replicas(4) as running:
        async with tiers_of(running) as tiers:
            with pytest.raises(NotReady, match="does not answer"):
                await ask(tiers, b"die")
            # Connections close a moment before their process has ended.
            await asyncio.to_thread(eventually, lambda: len(alive(running)) == 2)
            assert await ask(tiers, b"hello")


async def test_a_picture_that_ends_replicas_never_reaches_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.tiers.retrying.AWAITED_S", 1.0)
    with replicas(2) as running:
        async with tiers_of(running) as tiers:
            with pytest.raises(NotReady, match="does not answer"):
                await ask(tiers, b"die")
            await asyncio.to_thread(eventually, lambda: len(alive(running)) == 1)
            assert await ask(tiers, b"hello")


async def test_call_in_the_hands_of_a_killed_replica_is_answered_by_another() -> None:
    with replicas(3) as running:
        async with tiers_of(running) as tiers:
            calls = [asyncio.create_task(ask(tiers, b"wait")) for _ in range(6)]
            await ask(tiers, b"wait")
            running[0].signal(signal.SIGKILL)
            killed = str(running[0].process.pid)
            assert killed not in (await asyncio.gather(*(ask(tiers, b"wait") for _ in range(6))))
            await asyncio.gather(*calls)


async def test_call_of_one_of_two_replicas_waits_until_the_killed_one_is_back() -> None:
    with replicas(2) as running:
        async with tiers_of(running) as tiers:
            calls = [asyncio.create_task(ask(tiers, b"wait")) for _ in range(2)]
            await ask(tiers, b"hello")  # both have one in their hands
            running[0].signal(signal.SIGKILL)
            running[0].wait()
            running[0].restart(FACET_SCRIPTED_TIER_PORT=str(running[0].port))
            answered = await asyncio.gather(*calls)
            assert len(answered) == 2


async def test_call_that_a_stopping_replica_refuses_is_sent_again_until_it_is_taken() -> None:
    with replicas(1) as running:
        async with tiers_of(running) as tiers:
            assert await ask(tiers, b"refuse twice") == str(running[0].process.pid)


async def test_of_a_caller_without_a_gateway_a_picture_ends_two_of_many_at_most() -> None:
    with replicas(4) as running:
        target = "ipv4:" + ",".join(one.target for one in running)
        async with detector_at(target) as client:
            with pytest.raises(grpc.aio.AioRpcError):
                await client.DetectFaces(pb.DetectFacesRequest(image=image_pb2.Image(content=b"die")), timeout=WITHIN_S)
            assert len(alive(running)) >= 2
            assert await client.DetectFaces(pb.DetectFacesRequest(), timeout=WITHIN_S)
