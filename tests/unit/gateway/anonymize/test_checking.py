"""What the check hides again: what shows, what lies beneath it, and what is recognised."""

from __future__ import annotations

from facet.v1 import geometry_pb2
from gateway.anonymize.checking import to_hide_again


def face(x: float, y: float, side: float = 100.0) -> geometry_pb2.Face:
    """One around (x, y)."""
    half = side / 2
    return geometry_pb2.Face(
        box=geometry_pb2.BoundingBox(x_min=x - half, y_min=y - half, x_max=x + half, y_max=y + half)
    )


def test_where_nothing_shows_nothing_is_hidden_again() -> None:
    assert to_hide_again([], [], [face(200, 200)]) == []


def test_a_found_face_is_hidden_with_the_one_beneath_it_and_no_other() -> None:
    beneath, beside = face(200, 200, 30), face(500, 200)
    assert to_hide_again([face(210, 210)], [], [beneath, beside]) == [face(210, 210), beneath]


def test_landmarks_of_a_found_face_turn_nothing() -> None:
    found = face(200, 200)
    found.landmarks.add(type=geometry_pb2.LANDMARK_TYPE_LEFT_EYE, position=geometry_pb2.Point(x=1, y=2))
    assert to_hide_again([found], [], []) == [face(200, 200)]


def test_a_recognised_face_is_hidden_once_with_all_that_its_crop_shows() -> None:
    hidden = face(200, 200, 10)
    for x, y in ((180, 180), (220, 180), (200, 220)):
        hidden.landmarks.add(type=geometry_pb2.LANDMARK_TYPE_NOSE_TIP, position=geometry_pb2.Point(x=x, y=y))
    assert to_hide_again([face(205, 205)], [hidden], [hidden]) == [face(205, 205), hidden, face(200, 200, 112)]
