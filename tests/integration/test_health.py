"""Health over gRPC: alive at once, ready when the weights are loaded, not ready before the end."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facet.v1 import detector_pb2
from services.chassis.process.settings import ModelSettings
from tests.support.clients import ANONYMIZER, DETECTOR, detect_request, health_at, plain_detector_at, reason_of
from tests.support.processes import QUICK_MODEL, RunningTier, Stack, start

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
WEIGHTS = "face_detection_full_range_sparse.tflite"


class Watch:
    """A Watch of one service."""

    def __init__(self, statuses: AsyncIterator[health_pb2.HealthCheckResponse]) -> None:
        self._statuses = statuses

    async def next_status(self) -> int:
        async with asyncio.timeout(20):
            status: int = (await anext(self._statuses)).status
            return status

    async def ends(self) -> None:
        async with asyncio.timeout(20):
            with pytest.raises(StopAsyncIteration):
                await anext(self._statuses)


@asynccontextmanager
async def watch(tier: RunningTier, service: str) -> AsyncIterator[Watch]:
    async with health_at(tier.target) as health:
        call = health.Watch(health_pb2.HealthCheckRequest(service=service))
        yield Watch(aiter(call))
        call.cancel()


async def check(health: health_pb2_grpc.HealthStub, service: str) -> int:
    answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    status: int = answer.status
    return status


@pytest.fixture
def detector_without_weights(tmp_path: Path) -> Iterator[RunningTier]:
    """A detector that has never seen weights; they belong into `tmp_path`."""
    detector = start("detector", FACET_MODELS_DIR=str(tmp_path))
    yield detector
    detector.stop()


def install_weights(folder: Path) -> None:
    """As `facet models pull` does: under another name first, then renamed."""
    arriving = folder / "arriving"
    shutil.copyfile(ModelSettings().dir / WEIGHTS, arriving)
    arriving.rename(folder / WEIGHTS)


@pytest.mark.parametrize("service", ["", DETECTOR, ANONYMIZER])
async def test_ready_tier_is_alive_and_serves(stack: Stack, service: str) -> None:
    tier = stack.anonymizer if service == ANONYMIZER else stack.detector
    async with health_at(tier.target) as health:
        assert await check(health, service) == SERVING
    async with watch(tier, service) as watched:
        assert await watched.next_status() == SERVING


async def test_service_that_a_tier_does_not_have_is_unknown(stack: Stack) -> None:
    async with health_at(stack.anonymizer.target) as health:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await check(health, DETECTOR)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    async with watch(stack.anonymizer, DETECTOR) as watched:
        assert await watched.next_status() == SERVICE_UNKNOWN


async def test_tier_without_weights_is_alive_not_ready_and_says_what_to_do(
    detector_without_weights: RunningTier, astronaut_jpeg: bytes
) -> None:
    async with health_at(detector_without_weights.target) as health:
        assert await check(health, "") == SERVING
        assert await check(health, DETECTOR) == NOT_SERVING
    async with plain_detector_at(detector_without_weights.target) as detector:
        with pytest.raises(grpc.aio.AioRpcError, match="facet models pull blazeface-full") as raised:
            await detector.DetectFaces(detect_request(astronaut_jpeg), timeout=10)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(raised.value) == "NOT_READY"
        models = (await detector.ListModels(detector_pb2.ListModelsRequest(), timeout=10)).models
    assert not any(model.serving for model in models)
    assert all(f"facet models pull {model.name}" in model.detail for model in models)
    detector_without_weights.wait_for(lambda line: "facet models pull blazeface-full" in str(line.get("event")))
    assert detector_without_weights.process.poll() is None


async def test_tier_becomes_ready_by_itself_when_its_weights_appear(
    detector_without_weights: RunningTier, tmp_path: Path, astronaut_jpeg: bytes
) -> None:
    async with watch(detector_without_weights, DETECTOR) as watched:
        assert await watched.next_status() == NOT_SERVING
        install_weights(tmp_path)
        assert await watched.next_status() == SERVING
        async with plain_detector_at(detector_without_weights.target) as detector:
            answer = await detector.DetectFaces(detect_request(astronaut_jpeg), timeout=10)
        assert len(answer.faces) == 1


async def test_damaged_weights_are_never_served(
    detector_without_weights: RunningTier, tmp_path: Path, astronaut_jpeg: bytes
) -> None:
    content = bytearray((ModelSettings().dir / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    async with plain_detector_at(detector_without_weights.target) as detector:
        request = detect_request(astronaut_jpeg)
        request.config.model = "blazeface-full"
        with pytest.raises(grpc.aio.AioRpcError, match="sha256 of blazeface-full") as raised:
            await detector.DetectFaces(request, timeout=10)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(("tier", "service"), [("detector", DETECTOR), ("anonymizer", ANONYMIZER)])
async def test_watchers_learn_of_the_end_before_it_comes_and_do_not_hold_it_up(tier: str, service: str) -> None:
    running = start(tier, **QUICK_MODEL, FACET_DRAIN_S="0.3", FACET_GRACE_S="30")
    running.wait_ready()
    async with watch(running, service) as ready, watch(running, "") as alive:
        assert await ready.next_status() == SERVING
        assert await alive.next_status() == SERVING
        running.signal(signal.SIGTERM)
        assert await ready.next_status() == NOT_SERVING
        assert running.process.poll() is None
        await ready.ends()
    assert await asyncio.to_thread(running.wait, 10) == 0


async def test_gateway_is_alive_and_ready_with_the_state_of_each_tier(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.gateway.url) as client:
        for path in ("/healthz", "/health"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
        for path in ("/readyz", "/ready"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.json()["status"] == "ready"
            states = {name: state["status"] for name, state in answer.json()["tiers"].items()}
            assert states == {"detector": "ready", "anonymizer": "ready", "embedder": "not ready"}
            assert "facet models pull" in answer.json()["tiers"]["embedder"]["detail"]
