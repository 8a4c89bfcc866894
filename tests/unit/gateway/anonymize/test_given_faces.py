"""Faces that a caller gives: detect's own answer, edited; a mistake is told by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facet.v1 import geometry_pb2
from facet_client.api import DetectAnswer, FaceAnswer
from gateway.anonymize.given_faces import FacesDocument, GivenFace, read_given_faces
from services.chassis.errors import InvalidRequest

BOX = {"x_min": 10, "y_min": 20, "x_max": 30, "y_max": 50}
EYES = {"left_eye": [15, 30], "right_eye": [25, 30]}


def read(*faces: Any, **more: Any) -> list[geometry_pb2.Face]:  # noqa: ANN401  (any JSON)
    document = {"width": 100, "height": 80, "faces": list(faces), **more}
    return read_given_faces(json.dumps(document).encode()).faces


def test_all_that_detect_answers_is_accepted() -> None:
    assert set(DetectAnswer.model_fields) <= set(FacesDocument.model_fields)
    assert set(FaceAnswer.model_fields) <= set(GivenFace.model_fields)


def test_the_size_and_boxes_suffice() -> None:
    [face] = read({"box": BOX})
    assert (face.box.x_min, face.box.y_min, face.box.x_max, face.box.y_max) == (10, 20, 30, 50)
    assert len(face.landmarks) == 0


def test_landmarks_are_taken_unless_their_box_was_moved_away() -> None:
    [in_place, moved] = read(
        {"box": BOX, "landmarks": EYES}, {"box": {**BOX, "x_min": 60, "x_max": 80}, "landmarks": EYES}
    )
    assert len(in_place.landmarks) == 2
    assert len(moved.landmarks) == 0


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"", "faces: Invalid JSON"),
        (b"{", "faces: Invalid JSON"),
        (b"[]", "faces: "),
        (b"\xff\xfe{}", "faces: Invalid JSON"),
        (b"[" * 100_000, "faces: "),
        (b'{"height": 80, "faces": []}', "faces.width: Field required"),
        (b'{"width": 0, "height": 80, "faces": []}', "faces.width: "),
        (b'{"width": 100, "height": 80, "fases": []}', "faces.fases: unknown field"),
    ],
)
def test_a_document_that_is_none_is_refused(document: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_given_faces(document)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("face", "told"),
    [
        ({"box": {**BOX, "x_max": 10}}, "faces.faces[1].box: x_min must be below x_max"),
        ({"box": {**BOX, "x_max": 10.0000000001}}, "faces.faces[1].box: x_min must be below x_max"),
        ({"box": {**BOX, "y_min": float("nan")}}, "faces.faces[1].box.y_min: "),
        ({"box": {**BOX, "y_min": float("-inf")}}, "faces.faces[1].box.y_min: "),
        ({"box": {**BOX, "x_max": 1e300}}, "faces.faces[1].box: every number must be finite"),
        ({"box": {**BOX, "y_max": "low"}}, "faces.faces[1].box.y_max: "),
        ({"bocks": BOX}, "faces.faces[1].bocks: unknown field"),
        ({"box": {**BOX, "xmin": 3}}, "faces.faces[1].box.xmin: unknown field"),
        ({"box": BOX, "landmarks": {"third_eye": [1, 2]}}, "faces.faces[1].landmarks.third_eye: "),
        ({"box": BOX, "landmarks": {"left_eye": [1]}}, "faces.faces[1].landmarks.left_eye"),
        (None, "faces.faces[1]: "),
    ],
)
def test_a_mistake_is_told_by_its_place(face: Any, told: str) -> None:  # noqa: ANN401  (any JSON)
    with pytest.raises(InvalidRequest) as refused:
        read({"box": BOX}, face)
    assert str(refused.value).startswith(told)


def test_endless_faces_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^faces\.faces: .*10000"):
        read(*[{"box": BOX}] * 10_001)
