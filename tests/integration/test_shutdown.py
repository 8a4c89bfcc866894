"""SIGTERM under load: every call that had begun is answered, those that come later are answered or refused cleanly."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import grpc
import httpx
import pytest

from facet.v1 import anonymizer_pb2, detector_pb2
from tests.support.clients import (
    ASTRONAUTS_FACE,
    TIMEOUT_S,
    anonymize_request,
    anonymizer_at,
    detect_request,
    detector_at,
)
from tests.support.load import Load
from tests.support.processes import QUICK_MODEL, RunningTier, Stack, start

CALLERS = 6
GRACE_S = 15.0
STOP_LIMIT_S = 10.0
"""The longest that an end under this load may take: the drain, the calls in hand, the interpreter's own end."""


@pytest.fixture
def detector() -> Iterator[RunningTier]:
    running = start("detector", **QUICK_MODEL, FACET_DRAIN_S="0.5", FACET_GRACE_S=str(GRACE_S))
    running.wait_ready()
    yield running
    running.stop()


@pytest.fixture
def anonymizer() -> Iterator[RunningTier]:
    running = start("anonymizer", FACET_DRAIN_S="0.5", FACET_GRACE_S=str(GRACE_S))
    running.wait_ready()
    yield running
    running.stop()


async def terminated(tier: RunningTier) -> None:
    """Sends SIGTERM; the tier must end by itself, well within its grace."""
    tier.signal(signal.SIGTERM)
    assert await asyncio.to_thread(tier.wait, STOP_LIMIT_S) == 0


async def terminated_under(load: Load, tier: RunningTier) -> float:
    """Sends SIGTERM in the middle of the load; returns a moment of which every call begun before was on its way."""
    await load.ended(4 * CALLERS)
    moment_s = time.monotonic()
    await load.ended(CALLERS)  # what had begun by then has left this process by now
    await terminated(tier)
    return moment_s


def assert_ended_cleanly(load: Load, moment_s: float) -> None:
    assert load.errors_begun_before(moment_s) == []
    for error in load.errors():
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


def answered_calls(tier: RunningTier) -> int:
    """How many calls an ended tier has answered, by its log."""
    return sum(line.get("event") == "call" and line["code"] == "OK" for line in tier.log)


async def test_detector_answers_every_call_that_had_begun(detector: RunningTier, astronaut_jpeg: bytes) -> None:
    request = detect_request(astronaut_jpeg)
    async with (
        detector_at(detector.target) as client,
        Load(lambda: client.DetectFaces(request, timeout=TIMEOUT_S), callers=CALLERS) as load,
    ):
        moment_s = await terminated_under(load, detector)
    assert_ended_cleanly(load, moment_s)
    assert len(load.errors()) == CALLERS  # the load was there until the end


async def test_anonymizer_answers_every_call_that_had_begun(anonymizer: RunningTier, astronaut_jpeg: bytes) -> None:
    request = anonymize_request(astronaut_jpeg, ASTRONAUTS_FACE)
    async with (
        anonymizer_at(anonymizer.target) as client,
        Load(lambda: client.AnonymizeImage(request, timeout=TIMEOUT_S), callers=CALLERS) as load,
    ):
        moment_s = await terminated_under(load, anonymizer)
    assert_ended_cleanly(load, moment_s)
    assert len(load.errors()) == CALLERS


async def test_detector_finishes_a_stream_that_had_begun(detector: RunningTier, astronaut_jpeg: bytes) -> None:
    items, told_to_stop = 20, asyncio.Event()

    async def pictures() -> AsyncIterator[detector_pb2.StreamDetectFacesRequest]:
        for item in range(items):
            if item == items // 2:
                await told_to_stop.wait()
            yield detector_pb2.StreamDetectFacesRequest(request=detect_request(astronaut_jpeg))

    async with detector_at(detector.target) as client:
        call = aiter(client.StreamDetectFaces(pictures(), timeout=TIMEOUT_S))
        answers = [await anext(call)]
        ending = asyncio.create_task(terminated(detector))
        await asyncio.to_thread(detector.wait_for, lambda line: line.get("event") == "draining")
        told_to_stop.set()
        answers.extend([answer async for answer in call])
        await ending
    assert len(answers) == items
    assert all(len(answer.response.faces) == 1 for answer in answers)


async def test_anonymizer_finishes_a_stream_that_had_begun(anonymizer: RunningTier, astronaut_jpeg: bytes) -> None:
    items, told_to_stop = 20, asyncio.Event()

    async def pictures() -> AsyncIterator[anonymizer_pb2.StreamAnonymizeImagesRequest]:
        for item in range(items):
            if item == items // 2:
                await told_to_stop.wait()
            request = anonymize_request(astronaut_jpeg, ASTRONAUTS_FACE)
            yield anonymizer_pb2.StreamAnonymizeImagesRequest(request=request)

    async with anonymizer_at(anonymizer.target) as client:
        call = aiter(client.StreamAnonymizeImages(pictures(), timeout=TIMEOUT_S))
        answers = [await anext(call)]
        ending = asyncio.create_task(terminated(anonymizer))
        await asyncio.to_thread(anonymizer.wait_for, lambda line: line.get("event") == "draining")
        told_to_stop.set()
        answers.extend([answer async for answer in call])
        await ending
    assert len(answers) == items
    assert all(answer.response.hidden_regions == 1 for answer in answers)


async def test_gateway_answers_every_request_that_had_begun(stack: Stack, astronaut_jpeg: bytes) -> None:
    gateway = start("gateway", **stack.targets(), FACET_DRAIN_S="0.5", FACET_GRACE_S=str(GRACE_S))
    async with httpx.AsyncClient(base_url=gateway.url, timeout=TIMEOUT_S) as client:

        async def anonymize() -> None:
            answer = await client.post("/v1/anonymize", params={"recall": "fast"}, content=astronaut_jpeg)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-facet-faces"] == "1"

        async with Load(anonymize, callers=CALLERS) as load:
            moment_s = await terminated_under(load, gateway)
    assert load.errors_begun_before(moment_s) == []
    assert len(load.errors()) == CALLERS
    assert all(isinstance(error, httpx.TransportError) for error in load.errors())


async def test_draining_gateway_is_not_ready_and_closes_connections_after_their_answer(stack: Stack) -> None:
    gateway = start("gateway", **stack.targets(), FACET_DRAIN_S="2")
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        before = await client.get("/healthz")
        assert "connection" not in before.headers
        gateway.signal(signal.SIGTERM)
        await asyncio.to_thread(gateway.wait_for, lambda line: line.get("event") == "draining")
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert (alive.status_code, alive.headers["connection"]) == (200, "close")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert await asyncio.to_thread(gateway.wait) == 0


async def test_nobody_notices_when_one_of_two_replicas_is_stopped(
    stack: Stack, detector: RunningTier, astronaut_jpeg: bytes
) -> None:
    request = detect_request(astronaut_jpeg)
    async with (
        detector_at(f"ipv4:{stack.detector.target},{detector.target}") as client,
        Load(lambda: client.DetectFaces(request, timeout=TIMEOUT_S), callers=CALLERS) as load,
    ):
        await load.ended(30)
        await terminated(detector)
        await load.ended(30)
    assert load.errors() == []
    assert answered_calls(detector) > 0


async def test_nobody_notices_when_one_of_two_replicas_is_killed(
    stack: Stack, detector: RunningTier, astronaut_jpeg: bytes
) -> None:
    request = detect_request(astronaut_jpeg)
    async with (
        detector_at(f"ipv4:{stack.detector.target},{detector.target}") as client,
        Load(lambda: client.DetectFaces(request, timeout=TIMEOUT_S), callers=CALLERS) as load,
    ):
        await load.ended(30)
        detector.signal(signal.SIGKILL)
        await load.ended(30)
    assert load.errors() == []
    assert answered_calls(detector) > 0


@pytest.mark.parametrize("tier", ["detector", "anonymizer", "gateway"])
def test_sigint_ends_a_tier_like_sigterm(tier: str) -> None:
    running = start(tier, **QUICK_MODEL, FACET_DRAIN_S="0")
    running.signal(signal.SIGINT)
    assert running.wait(STOP_LIMIT_S) == 0
    events = [line["event"] for line in running.log if line.get("event") in ("draining", "stopped")]
    assert events == ["draining", "stopped"]
    assert "Traceback" not in "".join(running.output)
