"""The format asked for and the time a picture was taken, through a running anonymizer."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from PIL import ExifTags, Image

from facet.v1 import anonymizer_pb2 as pb
from facet.v1 import anonymizer_pb2_grpc, image_pb2
from tests.support.pictures import decode, encode, smooth
from tests.support.processes import start
from tests.support.ways import TIMEOUT_S, refusal_of_call

TAKEN = "2024:02:29 12:30:59"


@pytest.fixture(scope="module")
def anonymizer() -> Iterator[anonymizer_pb2_grpc.AnonymizerServiceStub]:
    """One that keeps the time."""
    running = start("anonymizer", FACET_ANONYMIZER_KEEP_CAPTURE_TIME="true")
    with grpc.insecure_channel(running.target) as channel:
        yield anonymizer_pb2_grpc.AnonymizerServiceStub(channel)
    running.stop()


def request(output: int) -> pb.AnonymizeImageRequest:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "PLANTED"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: TAKEN}
    content = encode(smooth(60, 40), "PNG", exif=exif.tobytes())
    return pb.AnonymizeImageRequest(image=image_pb2.Image(content=content), output=output)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "file_format"),
    [
        (pb.OUTPUT_FORMAT_UNSPECIFIED, "PNG"),
        (pb.OUTPUT_FORMAT_JPEG, "JPEG"),
        (pb.OUTPUT_FORMAT_PNG, "PNG"),
        (pb.OUTPUT_FORMAT_WEBP, "WEBP"),
    ],
)
def test_format_asked_for_is_answered_with_the_time_alone(
    anonymizer: anonymizer_pb2_grpc.AnonymizerServiceStub, output: int, file_format: str
) -> None:
    answer = anonymizer.AnonymizeImage(request(output), timeout=TIMEOUT_S)
    image = decode(answer.image.content)
    assert image.format == file_format
    assert answer.media_type == f"image/{file_format.lower()}"
    assert image.getexif().get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.DateTimeOriginal: TAKEN}
    assert b"PLANTED" not in answer.image.content


@pytest.mark.parametrize("output", [4, 77, -1])
def test_format_that_is_none_is_refused_by_name(
    anonymizer: anonymizer_pb2_grpc.AnonymizerServiceStub, output: int
) -> None:
    refusal = refusal_of_call(anonymizer.AnonymizeImage, request(output))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.detail == f"output: {output} is not a valid OutputFormat"
