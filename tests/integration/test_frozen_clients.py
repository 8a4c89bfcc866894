"""Clients that hold on to a tier and take nothing: others are served, and the tier becomes ready and ends in time."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from PIL import Image

from facet.v1 import anonymizer_pb2, geometry_pb2
from services.chassis.process.settings import ModelSettings
from tests.support.certificates import SERVER, Authority, MountedSecret
from tests.support.clients import (
    ANONYMIZER,
    DETECTOR,
    anonymize_request,
    anonymizer_at,
    detect_request,
    detector_at,
    health_at,
)
from tests.support.pictures import encode
from tests.support.processes import RunningTier, start
from tests.support.raw_http2 import RawHttp2

WATCH = "/grpc.health.v1.Health/Watch"
ANONYMIZE = f"/{ANONYMIZER}/AnonymizeImage"
STREAM = f"/{ANONYMIZER}/StreamAnonymizeImages"
WEIGHTS = "face_detection_full_range_sparse.tflite"
FROZEN = 20
DRAIN_S, GRACE_S = 0.5, 3.0
END_S = 3.0
"""What the interpreter's own end may take on a busy machine."""
SMALL_FACE = anonymizer_pb2.Region(box=geometry_pb2.BoundingBox(x_min=42, y_min=15, x_max=69, y_max=45))
SERVING = health_pb2.HealthCheckResponse.SERVING


def frozen_watchers(port: int, service: str) -> ExitStack:
    """Some clients that watch a service and never take its status."""
    stack = ExitStack()
    watch = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    for _ in range(FROZEN):
        stack.enter_context(RawHttp2(port)).call(WATCH, watch)
    return stack


@pytest.fixture
def anonymizer() -> Iterator[RunningTier]:
    running = start("anonymizer", FACET_DRAIN_S=str(DRAIN_S), FACET_GRACE_S=str(GRACE_S))
    running.wait_ready()
    yield running
    running.stop()


async def ends_in_time(tier: RunningTier) -> None:
    tier.signal(signal.SIGTERM)
    begun_s = time.monotonic()
    assert await asyncio.to_thread(tier.wait, 30) == 0
    assert time.monotonic() - begun_s < DRAIN_S + GRACE_S + END_S
    assert [line for line in tier.log if line.get("level") != "info"] == []


async def test_tier_becomes_ready_and_serves_beside_frozen_watchers(tmp_path: Path, astronaut_jpeg: bytes) -> None:
    detector = start("detector", FACET_MODELS_DIR=str(tmp_path))
    try:
        with frozen_watchers(detector.port, DETECTOR), frozen_watchers(detector.port, ""):
            async with health_at(detector.target) as health:
                assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=10)).status == SERVING
                shutil.copyfile(ModelSettings().dir / WEIGHTS, tmp_path / "arriving")
                (tmp_path / "arriving").rename(tmp_path / WEIGHTS)
                await asyncio.to_thread(detector.wait_ready)
                answer = await health.Check(health_pb2.HealthCheckRequest(service=DETECTOR), timeout=10)
                assert answer.status == SERVING
            async with detector_at(detector.target) as client:  # which watches health, too
                assert len((await client.DetectFaces(detect_request(astronaut_jpeg), timeout=20)).faces) == 1
    finally:
        detector.stop()


async def test_tier_ends_in_time_with_frozen_watchers(anonymizer: RunningTier) -> None:
    with frozen_watchers(anonymizer.port, ANONYMIZER):
        await ends_in_time(anonymizer)


async def test_tier_ends_in_time_with_calls_that_nobody_ends(anonymizer: RunningTier, astronaut: Image.Image) -> None:
    request = anonymize_request(encode(astronaut.resize((128, 128)), "JPEG"), SMALL_FACE)
    with RawHttp2(anonymizer.port) as client, socket.create_connection(("127.0.0.1", anonymizer.port)):
        client.call(ANONYMIZE)
        client.call(STREAM)
        item = anonymizer_pb2.StreamAnonymizeImagesRequest(request=request)
        client.call(STREAM, item.SerializeToString(), ends=False)
        for _ in range(3):
            client.call(ANONYMIZE, request.SerializeToString())  # and its answer is not taken
        async with anonymizer_at(anonymizer.target) as other:
            assert (await other.AnonymizeImage(request, timeout=20)).hidden_regions == 1
        await ends_in_time(anonymizer)


async def test_health_port_beside_tls_answers_check_alone(tmp_path: Path) -> None:
    secret = MountedSecret(tmp_path / "tls", Authority().issue(SERVER))
    ending = {"FACET_DRAIN_S": str(DRAIN_S), "FACET_GRACE_S": str(GRACE_S)}
    tier = start("anonymizer", FACET_HEALTH_PORT="0", **ending, **secret.settings)
    tier.wait_ready()
    port = tier.health_port
    assert port is not None
    with frozen_watchers(port, ANONYMIZER):
        async with health_at(f"127.0.0.1:{port}") as health:
            request = health_pb2.HealthCheckRequest(service=ANONYMIZER)
            assert (await health.Check(request, timeout=10)).status == SERVING
            with pytest.raises(grpc.aio.AioRpcError) as listed:
                await health.List(health_pb2.HealthListRequest(), timeout=10)
            with pytest.raises(grpc.aio.AioRpcError) as watched:
                await anext(aiter(health.Watch(request, timeout=10)))
        assert {listed.value.code(), watched.value.code()} == {grpc.StatusCode.UNIMPLEMENTED}
        await ends_in_time(tier)
