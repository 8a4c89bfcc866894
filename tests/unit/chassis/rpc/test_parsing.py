"""Messages built of very many parts are refused before they are parsed, and large ones parsed off the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.message import Message

from facet.v1 import anonymizer_pb2, detector_pb2, embedder_pb2, geometry_pb2, image_pb2
from services.chassis.errors import InvalidRequest
from services.chassis.rpc.parsing import MAX_FIELDS, Parser

PICTURE = image_pb2.Image(content=b"\x12\x00" * 2_000_000)
"""What it holds looks like fields, and is none."""
LANDMARKS = [geometry_pb2.Landmark(type=geometry_pb2.LANDMARK_TYPE_NOSE_TIP, position=geometry_pb2.Point(x=1, y=2))] * 8


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def parser(parse: Callable[[bytes], Message], kind: type[Message], executor: ThreadPoolExecutor) -> Parser:
    descriptor: Any = kind.DESCRIPTOR  # of the implementation in C, which the types do not know
    return Parser(parse, descriptor, executor)


async def parsed(content: bytes, kind: type[Message], executor: ThreadPoolExecutor) -> tuple[Message, bool]:
    """The message, and whether this thread has parsed it."""
    by: list[int] = []

    def parse(content: bytes) -> Message:
        by.append(threading.get_ident())
        return kind.FromString(content)

    message = await parser(parse, kind, executor)(content)
    return message, by == [threading.get_ident()]


async def test_an_ordinary_picture_is_parsed_at_once(executor: ThreadPoolExecutor) -> None:
    sent = detector_pb2.DetectFacesRequest(image=PICTURE)
    message, at_once = await parsed(sent.SerializeToString(), detector_pb2.DetectFacesRequest, executor)
    assert message == sent
    assert at_once


async def test_the_regions_of_a_crowd_are_parsed_on_another_thread(executor: ThreadPoolExecutor) -> None:
    region = anonymizer_pb2.Region(box=geometry_pb2.BoundingBox(x_max=1, y_max=1), landmarks=LANDMARKS)
    request = anonymizer_pb2.AnonymizeImageRequest(image=PICTURE, regions=[region] * 40_000)
    sent = anonymizer_pb2.StreamAnonymizeImagesRequest(request=request)
    message, at_once = await parsed(sent.SerializeToString(), type(sent), executor)
    assert message == sent
    assert not at_once


def nested(number: int, content: bytes) -> bytes:
    length, left = b"", len(content)
    while left > 127:
        length += bytes((left & 127 | 128,))
        left >>= 7
    return bytes((number << 3 | 2,)) + length + bytes((left,)) + content


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (anonymizer_pb2.AnonymizeImageRequest, b"\x12\x00" * (MAX_FIELDS + 1)),
        (anonymizer_pb2.AnonymizeImageRequest, nested(2, b"\x12\x00" * 3_000_000)),
        (anonymizer_pb2.StreamAnonymizeImagesRequest, nested(1, b"\x12\x00" * 3_000_000)),
        (anonymizer_pb2.AnonymizeImageRequest, nested(1, b"\x0a\x00" * 3_000_000)),
        (anonymizer_pb2.AnonymizeImageRequest, nested(2, nested(2, b"\x0a\x00" * 400)) * 30_000),
        (embedder_pb2.EmbedFacesRequest, b"\x0a\x00" * 3_000_000),
        (detector_pb2.DetectFacesRequest, b"\x78\x01" * 3_000_000),  # a field that no message of ours has
    ],
)
async def test_a_message_of_too_many_parts_is_refused_unparsed(
    executor: ThreadPoolExecutor, kind: type[Message], content: bytes
) -> None:
    def parse(_content: bytes) -> Message:
        pytest.fail("must not be parsed")

    with pytest.raises(InvalidRequest, match="too many parts"):
        await parser(parse, kind, executor)(content)


@pytest.mark.parametrize(
    "content", [b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0b", b"\xff" * 40]
)
async def test_a_damaged_message_is_refused_as_damaged(executor: ThreadPoolExecutor, content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="cannot be parsed"):
        await parsed(content, detector_pb2.DetectFacesRequest, executor)
