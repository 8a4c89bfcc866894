"""Streams over the wire: order, errors item by item, clients that leave, and room for other callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

import grpc
import pytest
from google.rpc.code_pb2 import INVALID_ARGUMENT
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from PIL import Image

from facet.v1 import anonymizer_pb2, detector_pb2, geometry_pb2
from tests.support.clients import (
    ASTRONAUTS_FACE,
    TIMEOUT_S,
    anonymize_request,
    anonymizer_at,
    detect_request,
    detector_at,
    metrics_of,
)
from tests.support.pictures import encode
from tests.support.processes import QUICK_MODEL, RunningTier, Stack, start
from tests.support.waiting import eventually

ITEMS = 200


def picture(width: int) -> bytes:
    """A small picture that is known by its width."""
    return encode(Image.new("RGB", (width, 16), "grey"), "PNG")


async def detect_stream(contents: Iterable[bytes]) -> AsyncIterator[detector_pb2.StreamDetectFacesRequest]:
    for content in contents:
        yield detector_pb2.StreamDetectFacesRequest(request=detect_request(content))


def reason_of(status: Status) -> str:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    reason: str = info.reason
    return reason


async def test_answers_come_in_the_order_of_the_requests(stack: Stack) -> None:
    widths = [16 + (37 * item) % 300 for item in range(ITEMS)]
    async with detector_at(stack.detector.target) as client:
        call = client.StreamDetectFaces(detect_stream(map(picture, widths)), timeout=TIMEOUT_S)
        assert [answer.response.width_px async for answer in call] == widths


async def test_bad_picture_is_answered_with_its_error_and_the_stream_goes_on(stack: Stack) -> None:
    contents = [picture(20), b"", picture(21), b"not a picture", picture(22), picture(23)[:-30], picture(24)]
    async with detector_at(stack.detector.target) as client:
        answers = [answer async for answer in client.StreamDetectFaces(detect_stream(contents), timeout=TIMEOUT_S)]
    kinds = [answer.WhichOneof("result") for answer in answers]
    assert kinds == ["response", "error", "response", "error", "response", "error", "response"]
    assert [answer.response.width_px for answer in answers[::2]] == [20, 21, 22, 24]
    assert [answer.error.code for answer in answers[1::2]] == [INVALID_ARGUMENT] * 3
    reasons = [reason_of(answer.error) for answer in answers[1::2]]
    assert reasons == ["INVALID_PICTURE", "UNSUPPORTED_FORMAT", "INVALID_PICTURE"]


async def test_bad_region_is_answered_with_its_error_and_the_stream_goes_on(
    stack: Stack, astronaut_jpeg: bytes
) -> None:
    empty = anonymizer_pb2.Region(box=geometry_pb2.BoundingBox(x_min=5, y_min=5, x_max=5, y_max=9))

    async def items() -> AsyncIterator[anonymizer_pb2.StreamAnonymizeImagesRequest]:
        for region in (ASTRONAUTS_FACE, empty, ASTRONAUTS_FACE):
            yield anonymizer_pb2.StreamAnonymizeImagesRequest(request=anonymize_request(astronaut_jpeg, region))

    async with anonymizer_at(stack.anonymizer.target) as client:
        first, bad, last = [a async for a in client.StreamAnonymizeImages(items(), timeout=TIMEOUT_S)]
    assert first == last
    assert first.response.hidden_regions == 1
    assert bad.error.code == INVALID_ARGUMENT
    assert "regions[0].box" in bad.error.message


async def test_stream_without_items_ends_without_answers(stack: Stack) -> None:
    async with detector_at(stack.detector.target) as client:
        assert [a async for a in client.StreamDetectFaces(detect_stream(()), timeout=TIMEOUT_S)] == []


async def test_client_that_waits_for_each_answer_gets_it_before_it_sends_the_next(stack: Stack) -> None:
    async with detector_at(stack.detector.target) as client:
        call = client.StreamDetectFaces(timeout=TIMEOUT_S)
        for width in (20, 30, 40):
            await call.write(detector_pb2.StreamDetectFacesRequest(request=detect_request(picture(width))))
            answer = await call.read()
            assert isinstance(answer, detector_pb2.StreamDetectFacesResponse)
            assert answer.response.width_px == width
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


@pytest.fixture
def narrow_detector() -> Iterator[RunningTier]:
    """One worker and two places in the queue."""
    detector = start("detector", **QUICK_MODEL, FACET_DETECTOR_WORKERS="1", FACET_DETECTOR_QUEUE_SIZE="2")
    detector.wait_ready()
    yield detector
    detector.stop()


async def test_stream_that_its_client_leaves_half_way_leaves_nothing_behind(
    narrow_detector: RunningTier, astronaut_jpeg: bytes
) -> None:
    async def endless() -> AsyncIterator[detector_pb2.StreamDetectFacesRequest]:
        while True:
            yield detector_pb2.StreamDetectFacesRequest(request=detect_request(astronaut_jpeg))

    async with detector_at(narrow_detector.target) as client:
        call = client.StreamDetectFaces(endless(), timeout=TIMEOUT_S)
        answers = aiter(call)
        for _ in range(10):
            assert len((await anext(answers)).response.faces) == 1
        call.cancel()
        await asyncio.to_thread(narrow_detector.wait_for, lambda line: line.get("code") == "CANCELLED")
        answer = await client.DetectFaces(detect_request(astronaut_jpeg), timeout=TIMEOUT_S)
        assert len(answer.faces) == 1

    def idle() -> bool:
        metrics = metrics_of(narrow_detector)
        return metrics["facet_detector_calls_in_progress"] == metrics["facet_detector_queue_depth"] == 0

    await asyncio.to_thread(eventually, idle)
    assert narrow_detector.stop() == 0
    assert {line.get("level") for line in narrow_detector.log} == {"info"}


async def test_fast_sender_is_held_back_and_leaves_room_for_other_callers(
    narrow_detector: RunningTier, astronaut_jpeg: bytes
) -> None:
    items = 60
    async with detector_at(narrow_detector.target) as streaming, detector_at(narrow_detector.target) as calling:

        async def stream() -> list[detector_pb2.StreamDetectFacesResponse]:
            call = streaming.StreamDetectFaces(detect_stream([astronaut_jpeg] * items), timeout=TIMEOUT_S)
            return [answer async for answer in call]

        streamed = asyncio.create_task(stream())
        calls = 0
        while not streamed.done():
            answer = await calling.DetectFaces(detect_request(astronaut_jpeg), timeout=TIMEOUT_S)
            assert len(answer.faces) == 1
            calls += 1
        answers = await streamed
    assert calls > 1
    assert [len(answer.response.faces) for answer in answers] == [1] * items
    assert metrics_of(narrow_detector)["facet_detector_refusals_total"] == 0
