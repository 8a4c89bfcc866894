"""Whom a reference picture is of."""

from __future__ import annotations

import pytest

from facet.v1 import geometry_pb2
from gateway.anonymize.documents import is_document
from gateway.anonymize.references import the_one_face
from services.chassis.errors import InvalidRequest


def face(side: float, *, aligned: bool = True) -> geometry_pb2.Face:
    message = geometry_pb2.Face(box=geometry_pb2.BoundingBox(x_max=side, y_max=side))
    if aligned:
        message.aligned.pixels = b"pixels"
    return message


def test_a_person_in_front_is_told_from_the_background() -> None:
    assert the_one_face([face(40), face(100), face(50)], "keep[0]") == face(100)


@pytest.mark.parametrize(
    ("faces", "told"),
    [
        ([], "no face was found"),
        ([face(100), face(51)], "several faces"),
        ([face(100, aligned=False)], "from the front"),
    ],
)
def test_a_picture_of_nobody_in_particular_is_refused_by_its_name(faces: list[geometry_pb2.Face], told: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^keep\[1\]: .*{told}"):
        the_one_face(faces, "keep[1]")


@pytest.mark.parametrize(
    ("content", "document"), [(b' \r\n\t{"a": 1}', True), (b"\xff\xd8\xff", False), (b"", False), (b"[1]", False)]
)
def test_a_document_is_known_by_its_brace(content: bytes, document: bool) -> None:  # noqa: FBT001
    assert is_document(content) is document
