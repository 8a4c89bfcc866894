"""Many callers at once: right answers for each, refusals when the queue is full, no work for those who left."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from PIL import Image

from facet.v1 import anonymizer_pb2_grpc, detector_pb2, detector_pb2_grpc
from services.chassis.process.settings import ModelSettings
from services.detector.mediapipe_import import import_mediapipe
from tests.support.clients import (
    ASTRONAUTS_FACE,
    TIMEOUT_S,
    anonymize_request,
    detect_request,
    metrics_of,
    plain_detector_at,
    reason_of,
)
from tests.support.pictures import encode
from tests.support.processes import RunningTier, Stack, start
from tests.support.waiting import eventually

CLIENTS = 8
ROUNDS = 4
THRESHOLD = 0.4
WEIGHTS = {
    "blazeface-short": "face_detection_short_range.tflite",
    "blazeface-full": "face_detection_full_range_sparse.tflite",
}


@pytest.fixture(scope="module")
def scenes(astronaut: Image.Image) -> list[Image.Image]:
    """Pictures of at most 640 pixels a side, each with the face at another place, size and angle, two with several."""
    scenes = []
    for index in range(CLIENTS):
        scene = Image.new("RGB", (640, 480 + 20 * index), (90 + 10 * index, 120, 130))
        side = 300 + 20 * index
        scene.paste(astronaut.resize((side, side)).rotate(6 * index - 20), (30 * index, 5 * index))
        if index % 4 == 3:
            scene.paste(astronaut.resize((220, 220)).crop((40, 0, 160, 160)), (10, 300))
        scenes.append(scene)
    return scenes


@dataclass(frozen=True, slots=True)
class Client:
    """A caller with a connection of its own."""

    detector: detector_pb2_grpc.DetectorServiceStub
    anonymizer: anonymizer_pb2_grpc.AnonymizerServiceStub


@pytest.fixture
def clients(stack: Stack) -> Iterator[list[Client]]:
    own = [("grpc.use_local_subchannel_pool", 1)]
    detectors = [grpc.insecure_channel(stack.detector.target, own) for _ in range(CLIENTS)]
    anonymizers = [grpc.insecure_channel(stack.anonymizer.target, own) for _ in range(CLIENTS)]
    yield [
        Client(detector_pb2_grpc.DetectorServiceStub(d), anonymizer_pb2_grpc.AnonymizerServiceStub(a))
        for d, a in zip(detectors, anonymizers, strict=True)
    ]
    for channel in (*detectors, *anonymizers):
        channel.close()


def test_eight_clients_at_once_each_get_the_faces_of_their_own_picture(
    clients: list[Client], scenes: list[Image.Image]
) -> None:
    requests = [detect_request(encode(scene, "PNG"), detector_pb2.RECALL_BALANCED) for scene in scenes]
    for request in requests:
        request.config.include_aligned = True
    alone = [clients[0].detector.DetectFaces(request, timeout=TIMEOUT_S) for request in requests]
    assert all(answer.faces for answer in alone)
    assert len({answer.SerializeToString() for answer in alone}) == CLIENTS

    def answers_of(index: int) -> list[detector_pb2.DetectFacesResponse]:
        detector = clients[index].detector
        return [detector.DetectFaces(requests[index], timeout=TIMEOUT_S) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(CLIENTS) as threads:
        together = list(threads.map(answers_of, range(CLIENTS)))
    assert together == [[answer] * ROUNDS for answer in alone]


def test_eight_clients_at_once_each_get_their_own_picture_back(
    clients: list[Client], scenes: list[Image.Image]
) -> None:
    requests = [anonymize_request(encode(scene, "PNG"), ASTRONAUTS_FACE) for scene in scenes]
    alone = [clients[0].anonymizer.AnonymizeImage(request, timeout=TIMEOUT_S) for request in requests]
    assert len({answer.image.content for answer in alone}) == CLIENTS
    with ThreadPoolExecutor(CLIENTS) as threads:
        together = list(threads.map(lambda c, r: c.anonymizer.AnonymizeImage(r, timeout=TIMEOUT_S), clients, requests))
    assert together == alone


@pytest.mark.parametrize("model", WEIGHTS)
def test_boxes_and_landmarks_are_those_that_mediapipe_itself_answers(
    clients: list[Client], scenes: list[Image.Image], model: str
) -> None:
    """A picture of at most 640 pixels a side is searched as it is where recall is FAST."""
    import_mediapipe()
    import mediapipe  # noqa: PLC0415
    from mediapipe.tasks.python import vision  # noqa: PLC0415

    compared = 0
    options = vision.FaceDetectorOptions(
        base_options=mediapipe.tasks.BaseOptions(
            model_asset_buffer=(ModelSettings().dir / WEIGHTS[model]).read_bytes()
        ),
        min_detection_confidence=THRESHOLD,
    )
    with vision.FaceDetector.create_from_options(options) as detector:
        for scene in scenes:
            request = detect_request(encode(scene, "PNG"))
            request.config.model = model
            request.config.min_confidence = THRESHOLD
            answer = clients[0].detector.DetectFaces(request, timeout=TIMEOUT_S)
            pixels = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.asarray(scene))
            expected = sorted(detector.detect(pixels).detections, key=lambda found: -found.categories[0].score)
            assert len(answer.faces) == len(expected)
            for face, found in zip(answer.faces, expected, strict=True):
                box = found.bounding_box
                assert (face.box.x_min, face.box.y_min) == (box.origin_x, box.origin_y)
                assert (face.box.x_max, face.box.y_max) == (box.origin_x + box.width, box.origin_y + box.height)
                assert face.confidence == pytest.approx(found.categories[0].score, abs=1e-6)
                positions = [(landmark.position.x, landmark.position.y) for landmark in face.landmarks]
                own = [(point.x * scene.width, point.y * scene.height) for point in found.keypoints]
                assert positions == pytest.approx(np.array(own), abs=1e-3)
                compared += 1
    assert compared >= CLIENTS // 2


@pytest.fixture
def narrow_detector() -> Iterator[RunningTier]:
    """One worker and one place in the queue."""
    detector = start("detector", FACET_DETECTOR_WORKERS="1", FACET_DETECTOR_QUEUE_SIZE="1")
    detector.wait_ready()
    yield detector
    detector.stop()


@pytest.fixture(scope="module")
def slow_picture() -> bytes:
    """Keeps a worker for about a second."""
    return encode(Image.new("RGB", (7000, 7000)), "PNG")


async def test_callers_beyond_the_queue_are_refused_at_once_and_the_others_are_answered(
    narrow_detector: RunningTier, slow_picture: bytes
) -> None:
    callers = 10

    @dataclass(frozen=True, slots=True)
    class Ending:
        at_s: float
        error: grpc.aio.AioRpcError | None

    async with plain_detector_at(narrow_detector.target) as client:

        async def call() -> Ending:
            try:
                await client.DetectFaces(detect_request(slow_picture), timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                return Ending(time.monotonic(), error)
            return Ending(time.monotonic(), None)

        endings = await asyncio.gather(*(call() for _ in range(callers)))
    refused = [ending for ending in endings if ending.error is not None]
    answered = [ending for ending in endings if ending.error is None]
    assert len(answered) == 2  # one worked on, one waiting
    assert max(ending.at_s for ending in refused) < min(ending.at_s for ending in answered)
    for ending in refused:
        assert ending.error is not None
        assert ending.error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason_of(ending.error) == "OVERLOADED"
    metrics = metrics_of(narrow_detector)
    assert metrics["facet_detector_refusals_total"] == callers - 2
    assert metrics["facet_detector_queue_depth"] == 0


async def test_overload_is_429_with_retry_after_over_rest(
    stack: Stack, narrow_detector: RunningTier, slow_picture: bytes
) -> None:
    gateway = start("gateway", **{**stack.targets(), "FACET_DETECTOR_TARGET": narrow_detector.target})
    async with httpx.AsyncClient(base_url=gateway.url, timeout=TIMEOUT_S) as client:
        answers = await asyncio.gather(*(client.post("/v1/detect?recall=fast", content=slow_picture) for _ in range(6)))
    await asyncio.to_thread(gateway.stop)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 4
    for answer in refused:
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:facet:error:OVERLOADED"
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("setting", ["", "FACET_GATEWAY_AUDIT_LOG=audit.jsonl", "FACET_LOG_LEVEL=DEBUG"])
def test_log_counts_refusals_at_the_door_and_tells_of_each_where_wanted(setting: str, tmp_path: Path) -> None:
    name, _, value = setting.partition("=")
    settings = {name: value.replace("audit", str(tmp_path / "audit"))} if name else {}
    gateway = start("gateway", FACET_GATEWAY_MAX_REQUESTS="1", **settings)
    with socket.create_connection((gateway.host, gateway.port)) as inside:
        inside.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        eventually(lambda: metrics_of(gateway)["facet_gateway_calls_in_progress"] == 1)
        answers = [httpx.post(f"{gateway.url}/v1/detect", content=b"x", timeout=TIMEOUT_S) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429] * 3
        eventually(lambda: sum(line["refused"] for line in gateway.log if line["event"] == "full") == 3)
    gateway.stop()
    ids = {answer.headers["x-request-id"] for answer in answers}
    told = {line["request_id"]: line for line in gateway.log if line.get("request_id") in ids}
    assert told.keys() == (ids if setting else set())
    assert all(("audit" in line) == ("AUDIT" in setting) for line in told.values())


def test_a_flood_of_idle_connections_keeps_nobody_out() -> None:
    gateway = start("gateway", FACET_GATEWAY_MAX_CONNECTIONS="20")
    with ExitStack() as ending:
        for _ in range(100):
            ending.enter_context(socket.create_connection((gateway.host, gateway.port)))
        assert httpx.get(f"{gateway.url}/healthz", timeout=TIMEOUT_S).status_code == 200
        gateway.wait_for(lambda line: line["event"] == "too many connections" and line["dropped"] >= 1)
    gateway.stop()


async def test_cancelled_callers_work_is_dropped_from_the_queue(
    narrow_detector: RunningTier, slow_picture: bytes, astronaut_jpeg: bytes
) -> None:
    def sample(name: str) -> float:
        return metrics_of(narrow_detector)[f"facet_detector_{name}"]

    begun = sample("queue_wait_seconds_count")
    async with plain_detector_at(narrow_detector.target) as client:
        slow = asyncio.ensure_future(client.DetectFaces(detect_request(slow_picture), timeout=TIMEOUT_S))
        await asyncio.to_thread(eventually, lambda: sample("queue_wait_seconds_count") == begun + 1)
        leaving = client.DetectFaces(detect_request(slow_picture), timeout=TIMEOUT_S)
        waiting = asyncio.ensure_future(leaving)
        await asyncio.to_thread(eventually, lambda: sample("queue_depth") == 1)
        leaving.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.to_thread(eventually, lambda: sample("queue_depth") == 0)
        assert not slow.done()  # the place in the queue was given back while the worker was busy
        staying = await client.DetectFaces(detect_request(astronaut_jpeg), timeout=TIMEOUT_S)
        await slow
    assert len(staying.faces) == 1
    assert sample("queue_wait_seconds_count") == begun + 2
    assert sample("calls_total{code=CANCELLED,method=DetectFaces}") == 1
    assert sample("refusals_total") == 0


async def test_client_that_leaves_the_gateway_is_dropped_from_the_detectors_queue(
    stack: Stack, narrow_detector: RunningTier, slow_picture: bytes
) -> None:
    gateway = start("gateway", **{**stack.targets(), "FACET_DETECTOR_TARGET": narrow_detector.target})
    async with httpx.AsyncClient(base_url=gateway.url, timeout=TIMEOUT_S) as client:
        leaving = asyncio.create_task(client.post("/v1/detect?recall=fast", content=slow_picture))
        await asyncio.to_thread(
            eventually, lambda: metrics_of(narrow_detector)["facet_detector_calls_in_progress"] == 1
        )
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await asyncio.to_thread(narrow_detector.wait_for, lambda line: line.get("code") == "CANCELLED")
        await asyncio.to_thread(gateway.wait_for, lambda line: line.get("code") == 499)
    await asyncio.to_thread(gateway.stop)
